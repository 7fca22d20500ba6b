import { createHash } from 'node:crypto'
import { isNestedDeeper, parseJsonObject } from '../json.ts'
import { areTooMany, type ArgumentFault, faultsOf } from './argument-faults.ts'
import { createMeter, type Meter } from './argument-meter.ts'
import { maxSchemaLength, type PlainSchema, readSchema } from './argument-schema.ts'
import { createValidate, type Validate } from './argument-validator.ts'

export { type ArgumentFault } from './argument-faults.ts'

export interface ArgumentCheck {
  /** Faults by all keywords but `format`. Bounded (20). */
  faults: ArgumentFault[]
  /**
   * Faults by `format` only: published schemas use formats that their tools do not check. Bounded (20). Empty when
   * `faults` is not.
   */
  formatFaults: ArgumentFault[]
}

type OnUnusable = (reason: string) => void

export interface ArgumentChecker {
  /**
   * Checks arguments (JSON text of an object) against an input schema (JSON text). `null`: cannot be checked (schema
   * unusable, arguments too large or no object, or the check took too many steps). Never throws.
   *
   * `onUnusable` is called once for each schema that cannot be used, by the first check that finds it out. The reason
   * quotes no values of callers.
   *
   * A schema is read by draft-07 when it says so or has what only that allows, else by 2020-12. A schema with a
   * reference that leads out of it, or with a pattern that RE2 does not know, is unusable.
   */
  check: (schemaText: string, argsText: string, onUnusable: OnUnusable) => ArgumentCheck | null
}

/** Longest text of arguments that are checked (characters). Longer ones pass without. */
const maxArgsLength = 262_144
/** Longest text of arguments of which all faults are listed, not only the first (characters). */
const maxListedLength = 65_536
/** Deepest nesting of arguments (objects and arrays). */
const maxArgsDepth = 500
const minSteps = 50_000
const stepsPerCharacter = 10

const maxRemembered = 200
/** Longest text of all remembered schemas together (characters). */
const maxRememberedLength = 8_388_608

/** A schema that is remembered. */
interface Remembered {
  length: number
  /** `null`: unusable. */
  run: ((args: object, length: number, onUnusable: OnUnusable) => ArgumentCheck | null) | null
}

/** Checks arguments. Remembers the schemas that it compiled; nothing of any arguments. */
export function createArgumentChecker (): ArgumentChecker {
  const remembered = new Map<string, Remembered>()
  let totalLength = 0

  /** The key of the schema used last. */
  let newest = ''

  /** The schema used last comes last. */
  function remember (schemaText: string, onUnusable: OnUnusable): Remembered {
    // The text of a schema that is too large is not worth its memory.
    const key = schemaText.length <= maxSchemaLength
      ? schemaText
      : createHash('sha256').update(schemaText).digest('base64')
    const known = remembered.get(key)
    if (known !== undefined && key === newest) return known
    newest = key
    const schema = known ?? { length: key.length, run: compile(schemaText, onUnusable) }
    remembered.delete(key)
    remembered.set(key, schema)
    if (known === undefined) totalLength += schema.length
    for (const [oldest, { length }] of remembered) {
      if (remembered.size <= maxRemembered && totalLength <= maxRememberedLength) break
      remembered.delete(oldest)
      totalLength -= length
    }
    return schema
  }

  return {
    check (schemaText, argsText, onUnusable) {
      if (argsText.length > maxArgsLength || isNestedDeeper(argsText, maxArgsDepth)) return null
      const args = parseJsonObject(argsText)
      if (args === null) return null
      return remember(schemaText, onUnusable).run?.(args, argsText.length, onUnusable) ?? null
    }
  }
}

function compile (schemaText: string, onUnusable: OnUnusable): Remembered['run'] {
  try {
    const plain = readSchema(schemaText)
    const meter = createMeter()
    const first = createValidate(plain, { meter, allErrors: false, formats: false })
    return createRun(plain, { first, meter })
  } catch (error) {
    onUnusable(reasonOf(error))
    return null
  }
}

function createRun (
  plain: PlainSchema, { first, meter }: { first: Validate, meter: Meter }
): NonNullable<Remembered['run']> {
  let [isTold, isBroken] = [false, false]
  const lazily = (formats: boolean): Validate => {
    let validate: Validate | null = null
    let hasFailed = false
    return value => {
      if (hasFailed) throw meter.spent
      hasFailed = true // unless it compiles: it is not tried again
      validate ??= createValidate(plain, { meter, allErrors: true, formats })
      hasFailed = false
      return validate(value)
    }
  }
  const all = lazily(false)
  const withFormats = lazily(true)

  return (args, length, onUnusable) => {
    if (isBroken) return null
    const validate = (run: Validate) => {
      meter.left = minSteps + stepsPerCharacter * length
      return run(args)
    }
    /** The errors, or those that are known when it takes too many steps to find more. */
    const orElse = (run: Validate, known: ReturnType<Validate>) => {
      try {
        return validate(run)
      } catch {
        return known
      }
    }

    try {
      const errors = validate(first)
      if (errors.length === 0) {
        const formatErrors = plain.hasFormats ? orElse(withFormats, []) : []
        return { faults: [], formatFaults: faultsOf(formatErrors, plain.schema) }
      }
      const listed = length <= maxListedLength ? orElse(all, errors) : errors
      // The first tells most where there are too many.
      return { faults: faultsOf(areTooMany(listed) ? errors : listed, plain.schema), formatFaults: [] }
    } catch (error) {
      // The stack is too small for the schema, or for what was compiled of it: it would take as long each time. A value
      // that Ajv stumbles over (`{ "toString": 1 }` where an object is compared) says nothing of the schema.
      if (error instanceof RangeError) isBroken = true
      if ((isBroken || error === meter.spent) && !isTold) {
        isTold = true
        onUnusable('a check against it took too many steps')
      }
      return null
    }
  }
}

/** Errors at compiling quote the schema at most. */
function reasonOf (error: unknown): string {
  if (error instanceof RangeError) return 'it is too complex to compile'
  const reason = error instanceof Error ? error.message : 'unknown'
  return reason.replace(/[^ -~]/g, '?').slice(0, 200)
}
