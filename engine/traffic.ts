/** Counts of what travels between this machine and a host. */

/** Round trips and bytes. */
export interface Traffic {
  /** How often an answer was waited for. */
  readonly roundTrips: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
}

/** Traffic that is still being counted. */
export type TrafficCounter = { -readonly [Count in keyof Traffic]: Traffic[Count] };

/** Traffic and the time it took. */
export interface Cost extends Traffic {
  /** Milliseconds, by the controller's clock. */
  readonly ms: number;
}

/** No traffic. */
export const NO_TRAFFIC: Traffic = { roundTrips: 0, bytesOut: 0, bytesIn: 0 };

/** The cost of nothing. */
export const FREE: Cost = { ms: 0, ...NO_TRAFFIC };

/** The difference of two counts. */
export function trafficBetween(before: Traffic, after: Traffic): Traffic {
  return {
    roundTrips: after.roundTrips - before.roundTrips,
    bytesOut: after.bytesOut - before.bytesOut,
    bytesIn: after.bytesIn - before.bytesIn,
  };
}

/** The sum of two costs. */
export function addCosts(one: Cost, other: Cost): Cost {
  return {
    ms: one.ms + other.ms,
    roundTrips: one.roundTrips + other.roundTrips,
    bytesOut: one.bytesOut + other.bytesOut,
    bytesIn: one.bytesIn + other.bytesIn,
  };
}
