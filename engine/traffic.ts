/** What travels between this machine and a host, counted. */

/** What travelled. */
export interface Traffic {
  /** How often an answer was waited for. */
  readonly roundTrips: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
}

/** A count that goes on. */
export type TrafficCounter = { -readonly [Count in keyof Traffic]: Traffic[Count] };

/** What something cost. */
export interface Cost extends Traffic {
  /** Milliseconds, by the controller's clock. */
  readonly ms: number;
}

/** Nothing. */
export const NO_TRAFFIC: Traffic = { roundTrips: 0, bytesOut: 0, bytesIn: 0 };

/** What costs nothing. */
export const FREE: Cost = { ms: 0, ...NO_TRAFFIC };

/** What travelled between two counts. */
export function trafficBetween(before: Traffic, after: Traffic): Traffic {
  return {
    roundTrips: after.roundTrips - before.roundTrips,
    bytesOut: after.bytesOut - before.bytesOut,
    bytesIn: after.bytesIn - before.bytesIn,
  };
}

/** Both together. */
export function addCosts(one: Cost, other: Cost): Cost {
  return {
    ms: one.ms + other.ms,
    roundTrips: one.roundTrips + other.roundTrips,
    bytesOut: one.bytesOut + other.bytesOut,
    bytesIn: one.bytesIn + other.bytesIn,
  };
}
