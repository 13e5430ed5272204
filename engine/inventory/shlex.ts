/** Splits a line into words as a POSIX shell does (Python's `shlex.split(comments=True)`), with their columns. */

/** A word, its quotes and backslashes resolved. */
export interface ShellWord {
  readonly text: string;
  /** Where it begins in the line, from 1. */
  readonly column: number;
}

/** Why a line cannot be split. */
export interface SplitError {
  readonly error: string;
  readonly column: number;
}

/** The words of `line`. An unquoted `#` ends the line, also inside a word, unless `comments` is `none`. */
export function splitWords(line: string, comments: '#' | 'none' = '#'): readonly ShellWord[] | SplitError {
  const atComment = (): boolean => comments === '#' && line[i] === '#';
  const words: ShellWord[] = [];
  let i = 0;
  while (i < line.length) {
    if (/\s/.test(line[i] ?? '')) {
      i++;
      continue;
    }
    if (atComment()) break;
    const start = i;
    let text = '';
    while (i < line.length && !/\s/.test(line[i] ?? '') && !atComment()) {
      const c = line[i] ?? '';
      if (c === '\\') {
        if (i + 1 >= line.length) return { error: 'a backslash at the end of the line', column: i + 1 };
        text += line[i + 1];
        i += 2;
      } else if (c === "'" || c === '"') {
        const opened = i;
        i++;
        while (i < line.length && line[i] !== c) {
          const escaped = c === '"' && line[i] === '\\' && (line[i + 1] === '"' || line[i + 1] === '\\');
          if (escaped) i++;
          text += line[i];
          i++;
        }
        if (i >= line.length) return { error: `a quote (${c}) that is not closed`, column: opened + 1 };
        i++;
      } else {
        text += c;
        i++;
      }
    }
    words.push({ text, column: start + 1 });
  }
  return words;
}

/** Command-line options as separate words: `-o Port=22 -J jump`. @throws Error on an unclosed quote. */
export function splitOptions(text: string): string[] {
  const words = splitWords(text, 'none');
  if ('error' in words) throw new Error(words.error);
  return words.map((word) => word.text);
}
