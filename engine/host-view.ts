/** A host as roles see it. */
export interface HostView {
  /** Its name in the inventory. */
  readonly name: string;
  /** Where connections go: `ansible_host`, or the name. */
  readonly address: string;
  /** `ansible_port`, or 22. Where that is not set, ~/.ssh/config may have led to another. */
  readonly port: number;
  /** Every group it is in, `all` included. */
  readonly groups: readonly string[];
  /** A variable as it holds for this host, undefined where unset. For the role's own variables use `vars`. */
  var(name: string): unknown;
}
