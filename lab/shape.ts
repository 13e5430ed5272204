/** The shape of a lab: how many hosts, of which kind. Written in YAML or given by a test; checked here. */

/** The architectures a host can have, as Debian names them; the other one than the machine's is emulated. */
export type Architecture = 'amd64' | 'arm64';

/** What is asked for of one host; whatever is left out is as in {@link hostDefaults}. */
export interface HostShape {
  /** Its host name and its name in the inventory. */
  readonly name: string;
  readonly arch: Architecture;
  /** The inventory groups it belongs to, such as `server` or `agent`. */
  readonly groups: readonly string[];
  /** Who the inventory logs in as, always by key: `admin` (and `sudo` from there) or `root`. */
  readonly user: 'admin' | 'root';
  /** What sudo says to `admin`: asks for the password, asks nothing, or refuses. */
  readonly sudo: 'password' | 'nopasswd' | 'refused';
  /** The password of `admin`, for sudo and for logging in. */
  readonly sudo_password: string;
  /** Where sshd listens. */
  readonly ssh_port: number;
  /** Whether ufw is installed. It brings Python, in which Debian's ufw is written; without it the host has none. */
  readonly ufw: boolean;
  /** The size of its disk in GiB; only what is written is used on the machine. */
  readonly disk_gb: number;
}

/** A lab: its hosts, and whether its mirror serves k3s. */
export interface LabShape {
  readonly hosts: readonly HostShape[];
  /** Serve k3s artifacts from the lab's mirror (built on first use where they can't be downloaded). */
  readonly k3s: boolean;
}

/** A shape as tests write it: only what differs from the defaults. */
export interface LabRequest {
  readonly hosts?: readonly (Partial<HostShape> & { readonly name: string })[];
  readonly k3s?: boolean;
}

/** What a host is where its shape doesn't say. */
export const hostDefaults: Omit<HostShape, 'name'> = {
  arch: 'amd64',
  groups: ['server'],
  user: 'admin',
  sudo: 'password',
  sudo_password: 'lab-5esame',
  ssh_port: 22,
  ufw: true,
  disk_gb: 20,
};

/** Three AMD64 servers and one ARM64 agent, with k3s to install. */
export const defaultShape: LabShape = {
  hosts: [
    { ...hostDefaults, name: 'node-1' },
    { ...hostDefaults, name: 'node-2' },
    { ...hostDefaults, name: 'node-3' },
    { ...hostDefaults, name: 'node-4', arch: 'arm64', groups: ['agent'] },
  ],
  k3s: true,
};

/** The whole shape of a request: the default one where it names no hosts; without k3s where it doesn't ask for it. */
export function completeShape(request: LabRequest): LabShape {
  const hosts = request.hosts?.map((host) => ({ ...hostDefaults, ...host })) ?? defaultShape.hosts;
  return { hosts, k3s: request.k3s ?? request.hosts === undefined };
}
