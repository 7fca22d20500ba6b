import addFormats from 'ajv-formats'
import { _, Ajv, type AnySchemaObject, type ErrorObject, type Options, Name } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { Meter } from './argument-meter.ts'
import { createPatternCompiler } from './argument-patterns.ts'
import { type Cost, type PlainSchema, stepsKeyword } from './argument-schema.ts'

/** Checks a value; gives Ajv's errors (verbose), none for a value that fits. Throws when the meter is spent. */
export type Validate = (value: unknown) => ErrorObject[]

export interface ValidateOptions {
  meter: Meter
  /** Whether to look on after the first error. */
  allErrors: boolean
  /** Whether `format` counts. */
  formats: boolean
}

/** Compiles a schema. Throws for one that Ajv refuses. */
export function createValidate (plain: PlainSchema, { meter, allErrors, formats }: ValidateOptions): Validate {
  const options: Options = {
    allErrors,
    strict: false,
    logger: false,
    meta: false,
    validateSchema: false,
    addUsedSchema: false,
    validateFormats: formats,
    verbose: true,
    inlineRefs: false, // would write out a schema again for each reference
    ownProperties: true,
    multipleOfPrecision: 9,
    code: { optimize: false, regExp: createPatternCompiler(meter) } // the optimizer takes longer than it saves
  }
  const ajv = plain.isDraft07 ? new Ajv(options) : new Ajv2020(options)
  // Ajv tracks what is evaluated in all schemas of 2020-12, which makes it try all alternatives of each.
  if (!plain.hasUnevaluated) Object.assign(ajv.opts, { unevaluated: false })
  if (formats) addFormats.default(ajv, { mode: 'fast' })
  addStepsKeyword(ajv, meter)
  ajv.removeKeyword('uniqueItems')
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    compile: (isUnique: boolean) => (items: unknown[]) => !isUnique || areUnique(items, meter)
  })
  const validate = ajv.compile(plain.schema as AnySchemaObject)
  return value => validate(value) ? [] : validate.errors ?? []
}

/** Makes each evaluation of a schema cost steps, before it leads to that of another. */
function addStepsKeyword (ajv: Ajv | Ajv2020, meter: Meter) {
  const spendOn = (value: unknown, { byText, byItems, byNames }: Cost) => {
    if (typeof value === 'string') {
      if (byText) meter.spend(value.length >> 6)
    } else if (Array.isArray(value)) {
      if (byItems) meter.spend(value.length >> 3)
    } else if (byNames && typeof value === 'object' && value !== null) {
      meter.spend(Object.keys(value).length >> 2)
    }
  }
  // Ajv copies the errors so far at each reference that fails, so they cost, too.
  const errors = new Name('errors')
  ajv.addKeyword({
    keyword: stepsKeyword,
    schemaType: 'object',
    before: '$ref',
    code ({ gen, schema, data }) {
      const cost = schema as Cost
      const name = gen.scopeValue('obj', { ref: meter })
      gen.if(_`(${name}.left -= ${cost.steps} + (${errors} >> 6)) < 0`, () => gen.throw(_`${name}.spent`))
      if (!cost.byText && !cost.byItems && !cost.byNames) return
      gen.code(_`${gen.scopeValue('func', { ref: spendOn })}(${data}, ${gen.scopeValue('obj', { ref: cost })})`)
    }
  })
}

function areUnique (items: unknown[], meter: Meter): boolean {
  const seen = new Set<string>()
  for (const item of items) {
    const text = canonicalText(item, meter)
    if (seen.has(text)) return false
    seen.add(text)
  }
  return true
}

/** Equal for equal values: the order of names does not count. */
function canonicalText (value: unknown, meter: Meter): string {
  if (typeof value !== 'object' || value === null) {
    meter.spend(1 + (typeof value === 'string' ? value.length >> 6 : 0))
    return JSON.stringify(value)
  }
  meter.spend(1)
  if (Array.isArray(value)) return `[${value.map(item => canonicalText(item, meter)).join()}]`
  const entries = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)
  return `{${entries.map(([name, item]) => `${JSON.stringify(name)}:${canonicalText(item, meter)}`).join()}}`
}
