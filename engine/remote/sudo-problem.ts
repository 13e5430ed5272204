/** What sudo's refusals mean. Its messages are read in the C locale (sudo 1.8 and 1.9). */
import type { Problem } from '../errors.ts';
import type { Become } from './session.ts';

/**
 * The problem behind a sudo that did not start a shell.
 * @param why `asked twice`: it asked for the password again after it was given. `silent`: it did not answer in time.
 * @param message What it said.
 */
export function sudoProblem(
  host: string,
  become: Become,
  why: 'ended' | 'asked twice' | 'silent',
  message: string,
): Problem {
  const problem = (what: string, hint: string): Problem => ({ what, host, hint });
  const refused = message.split('\n').find((line) => /not (in the sudoers|allowed)|may not run sudo/i.test(line));
  if (why === 'asked twice' || /incorrect password|Sorry, try again/i.test(message)) {
    return problem(
      `sudo did not accept the password for becoming ${become.user}`,
      become.origins?.password
        ? `the password is from ${become.origins.password}, which wins over -K`
        : 'give the right one with -K, or as ansible_become_password',
    );
  }
  if (/a password is required|no password was provided/i.test(message)) {
    return problem(
      `sudo asks for a password for becoming ${become.user}, and none was given`,
      'give it with -K or as ansible_become_password, or allow the user NOPASSWD in /etc/sudoers.d',
    );
  }
  if (refused !== undefined) {
    return problem(
      `sudo refuses to become ${become.user}: ${refused.trim()}`,
      'add the user to the group sudo (Debian) or wheel (others) on the host, or connect as a user who may',
    );
  }
  if (/sudo['"’]?:? .*(not found|No such file)|not found.*sudo/i.test(message)) {
    return problem(
      `there is no sudo on the host to become ${become.user} with`,
      'install sudo there, or connect as root: -u root, where no ansible_user in the inventory wins over it',
    );
  }
  if (/unknown user/i.test(message)) {
    const { user } = become.origins ?? {};
    return problem(
      `there is no user ${become.user} on the host`,
      user
        ? `it is from ${user}, which wins over --become-user; correct it there, or create the user`
        : 'name another with --become-user, or create it',
    );
  }
  if (/must have a tty/i.test(message)) {
    return problem(
      'sudo on the host demands a terminal (requiretty)',
      'remove "Defaults requiretty" from its sudoers, or add "Defaults:USER !requiretty" for the user',
    );
  }
  if (why === 'silent') {
    return problem(
      `sudo did not answer in time while becoming ${become.user}`,
      'try "sudo -v" on the host by hand: it may wait for a directory service or a hardware token',
    );
  }
  return problem(
    `sudo could not become ${become.user}${message ? `: ${message.split('\n').at(-1)?.trim()}` : ''}`,
    `try it on the host by hand: sudo -u ${become.user} id`,
  );
}
