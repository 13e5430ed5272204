/** Looks up the names of a template: in the current data, in what encloses it, in `@index` and the like. */

/** The `@` names: `@index`, `@key`, `@first`, `@last`, `@root`. */
interface LoopData {
  readonly values: Readonly<Record<string, unknown>>;
  readonly outer: LoopData | undefined;
}

/** The names at one position of a template. Immutable. */
export class Scope {
  /** `this`, then what `../` refers to, innermost first. */
  readonly #contexts: readonly unknown[];
  readonly #loop: LoopData;
  /** Names given by `as |item i|`, innermost last. */
  readonly #named: ReadonlyMap<string, unknown>;

  private constructor(contexts: readonly unknown[], loop: LoopData, named: ReadonlyMap<string, unknown>) {
    this.#contexts = contexts;
    this.#loop = loop;
    this.#named = named;
  }

  /** The scope of a whole template. */
  static of(data: unknown): Scope {
    return new Scope([data], { values: { root: data }, outer: undefined }, new Map());
  }

  /** The scope inside a block: another `this`, its loop data and its names. */
  inside(context: unknown, names: ReadonlyMap<string, unknown>, loop?: Readonly<Record<string, unknown>>): Scope {
    // As in Handlebars, `../` does not count a block with the same context.
    const contexts = context === this.#contexts[0] ? this.#contexts : [context, ...this.#contexts];
    const data = loop ? { values: { ...this.#loop.values, ...loop }, outer: this.#loop } : this.#loop;
    return new Scope(contexts, data, new Map([...this.#named, ...names]));
  }

  /** The value of a path, and the names there are at its last part. */
  lookup(path: {
    readonly data: boolean;
    readonly depth: number;
    readonly parts: readonly string[];
    readonly scoped: boolean;
  }): {
    readonly value: unknown;
    readonly known: readonly string[];
  } {
    const { data, depth, parts, scoped } = path;
    const [first, ...rest] = parts;
    let start: unknown;
    let remaining: readonly string[] = parts;
    if (data) {
      let loop: LoopData | undefined = this.#loop;
      for (let i = 0; i < depth; i++) loop = loop?.outer;
      start = loop?.values;
    } else if (depth === 0 && !scoped && first !== undefined && this.#named.has(first)) {
      start = this.#named.get(first);
      remaining = rest;
    } else start = this.#contexts[depth];
    let known: readonly string[] = [];
    for (const part of remaining) {
      known = ownNames(start);
      start = own(start, part);
      if (start === undefined) break;
    }
    return { value: start, known };
  }
}

/** Own properties only: a template reaches no prototype. */
function own(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  const found: unknown = Reflect.get(value, name);
  return typeof found === 'function' ? undefined : found;
}

function ownNames(value: unknown): readonly string[] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
}
