/** Values with one of Ansible's YAML tags, `!vault` and `!unsafe`, and text that ansible-vault encrypted. */
import type { Position, Problem } from '../errors.ts';

/** `!vault`: a value that ansible-vault encrypted. */
export class VaultValue {
  readonly at: Position;

  constructor(at: Position) {
    this.at = at;
  }

  /** Ciphertext is not shown. */
  toJSON(): string {
    return '!vault';
  }
}

/** `!unsafe`: braces in the text are text, not references. */
export class UnsafeText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** True for the text of an encrypted file, and for an encrypted value that lost its `!vault` tag. */
export function isVaultText(text: string): boolean {
  return /^\s*\$ANSIBLE_VAULT;/.test(text);
}

/**
 * Refuses what ansible-vault encrypted: Heartwood takes no vault password yet.
 * @param subject What is encrypted: `the inventory`, `ansible_password`.
 */
export function vaultProblem(subject: string, at: Position | undefined): Problem {
  const [flag] = PASSWORD_FLAGS.find(([, variables]) => variables.test(subject)) ?? [];
  // A password variable wins over a password that is typed in.
  const typed = flag ? `; or remove it, and type the password in with ${flag}` : '';
  return {
    what: `${subject} is encrypted with ansible-vault, which Heartwood cannot open yet`,
    at,
    hint: `decrypt it (ansible-vault view) into a file outside the repository, and pass that with -e @file${typed}`,
  };
}

/** The flags that ask for a password, and the variables that give it. */
const PASSWORD_FLAGS: readonly (readonly [flag: string, variables: RegExp])[] = [
  ['-K', /^ansible_(become|sudo)_pass/],
  ['-k', /^ansible_(ssh_)?pass/],
];
