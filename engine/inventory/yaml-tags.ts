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
  return {
    what: `${subject} is encrypted with ansible-vault, which Heartwood cannot open yet`,
    at,
    hint: 'decrypt it (ansible-vault view) into a file outside the repository, and pass that with -e @file',
  };
}
