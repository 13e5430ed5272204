/**
 * The schema of a role's variables. The static type, the validation, the completion in editors and the reference page
 * all come from it. It is the subset of JSON Schema that group_vars need; ajv checks values (validate.ts).
 */
import type { Secret } from '../secret.ts';

/** What every variable has. */
interface Described {
  /** One or two sentences: what it is, its unit, what changing it does. */
  readonly description: string;
  /** Values a user could write, the most usual first. */
  readonly examples?: readonly unknown[];
}

/** A string; with `secret: true` the role gets a {@link Secret} and no message ever shows it. */
export interface StringSchema extends Described {
  readonly type: 'string';
  readonly default?: string;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  /** `ipv4`, `cidr`, `hostname`, `port-range`, `url`, `interface`: checked, and named in the message. */
  readonly format?: string;
  readonly minLength?: number;
  readonly secret?: true;
}

/** A whole or a decimal number. */
export interface NumberSchema extends Described {
  readonly type: 'integer' | 'number';
  readonly default?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** Yes or no. */
export interface BooleanSchema extends Described {
  readonly type: 'boolean';
  readonly default?: boolean;
}

/** A list. */
export interface ArraySchema extends Described {
  readonly type: 'array';
  readonly items: ValueSchema;
  readonly default?: readonly unknown[];
  readonly minItems?: number;
  readonly uniqueItems?: boolean;
}

/**
 * A mapping with named keys (`properties`), with any keys of one type (`additionalProperties`), or of anything
 * (neither).
 */
export interface ObjectSchema extends Described {
  readonly type: 'object';
  readonly properties?: Readonly<Record<string, ValueSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: ValueSchema | false;
  readonly default?: Readonly<Record<string, unknown>>;
}

/** The schema of one value. */
export type ValueSchema = StringSchema | NumberSchema | BooleanSchema | ArraySchema | ObjectSchema;

/** All variables of a role: name to schema. Names carry the role's prefix (`k3s_version`), as in Ansible. */
export interface VarsSchema {
  readonly properties: Readonly<Record<string, ValueSchema>>;
  /** Variables without a default that must be set. */
  readonly required?: readonly string[];
}

/** The static type of one value. */
export type InferValue<S> = S extends { readonly type: 'string'; readonly secret: true }
  ? Secret
  : S extends { readonly type: 'string'; readonly enum: readonly (infer E)[] }
    ? E
    : S extends { readonly type: 'string' }
      ? string
      : S extends { readonly type: 'integer' | 'number' }
        ? number
        : S extends { readonly type: 'boolean' }
          ? boolean
          : S extends { readonly type: 'array'; readonly items: infer I }
            ? readonly InferValue<I>[]
            : S extends { readonly type: 'object'; readonly properties: infer P }
              ? InferProperties<P, S extends { readonly required: readonly (infer R)[] } ? R : never>
              : S extends { readonly type: 'object'; readonly additionalProperties: infer A }
                ? Readonly<Record<string, InferValue<A>>>
                : S extends { readonly type: 'object' }
                  ? Readonly<Record<string, unknown>>
                  : never;

type InferProperties<P, R> = {
  readonly [K in keyof P]: K extends R
    ? InferValue<P[K]>
    : P[K] extends { readonly default: unknown }
      ? InferValue<P[K]>
      : InferValue<P[K]> | undefined;
};

/** The static type of a role's variables: required or defaulted ones are there, others may be undefined. */
export type Infer<S> = S extends { readonly properties: infer P }
  ? InferProperties<P, S extends { readonly required: readonly (infer R)[] } ? R : never>
  : never;
