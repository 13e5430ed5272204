/** A node that joins while there is no cluster yet: it stops before anything is installed on it. */
import { type HostView, type Resource, sh } from '../../engine/index.ts';
import { PERMANENT, waitFor } from '../../engine/resources/wait.ts';

/**
 * For the nodes that join while no server has a cluster. Check mode goes on and lists what would be done; a real run
 * fails here. The first server has had its turn by now: it failed in this run, or the run leaves it out.
 * @param beginner The server that begins the cluster.
 * @param runHosts The hosts of this run.
 */
export function clusterToJoin(beginner: string, runHosts: readonly HostView[]): Resource {
  const wait = waitFor({
    what: `${beginner} to begin the cluster`,
    script: sh`echo 'no server of the inventory has a cluster to join'; exit ${PERMANENT}`,
    deadline: 1,
  });
  const isInRun = runHosts.some(({ name }) => name === beginner);
  return {
    ...wait,
    explain: () =>
      isInRun
        ? {
            what: `there is no cluster to join: ${beginner} was to begin it, and failed in this run`,
            hint: `fix what failed on ${beginner} (see above), then run again; k3s was not installed here`,
          }
        : {
            what: `there is no cluster to join: ${beginner} is to begin it, and this run leaves it out`,
            hint: `run without --limit, or with ${beginner} in it; k3s was not installed here`,
          },
  };
}
