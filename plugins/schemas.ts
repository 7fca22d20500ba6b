import { Ajv } from 'ajv'
import fastJsonStringify from 'fast-json-stringify'
import type { FastifySchemaCompiler, FastifySerializerCompiler } from 'fastify'
import fp from 'fastify-plugin'

/**
 * Edge phase: compiles the schemas of bodies and answers.
 *
 * Values are never coerced or stripped, because they are arguments of a tool. The compilers are made here because plain
 * `fastify start` does not apply server options.
 *
 * A schema is compiled once, however many routes have it, and however many services this process starts. Of 131 answers
 * that routes describe 18 differ in more than their descriptions: most are failures.
 */
export default fp(async (fastify) => {
  fastify.setValidatorCompiler(compileValidator)
  fastify.setSerializerCompiler(compileSerializer)
}, { name: 'schemas' })

// `verbose` gives the formatter of faults the value and its schema.
const ajv = new Ajv({ verbose: true, allowUnionTypes: true })
const compileValidator = oncePerText(
  schema => JSON.stringify(schema),
  schema => ajv.compile(schema)
) satisfies FastifySchemaCompiler<object>

const compileSerializer = oncePerText(
  schema => JSON.stringify(schema, withoutDescriptions),
  schema => fastJsonStringify(schema)
) satisfies FastifySerializerCompiler<object>

/** A property that is named so has a schema, which is no text. */
const withoutDescriptions = (key: string, value: unknown) =>
  key === 'description' && typeof value === 'string' ? undefined : value

/** What is compiled depends on nothing but its schema, so it belongs to no service. */
function oncePerText<Compiled> (textOf: (schema: object) => string, compile: (schema: object) => Compiled) {
  const compiled = new Map<string, Compiled>()
  return ({ schema }: { schema: object }): Compiled => {
    const text = textOf(schema)
    const known = compiled.get(text)
    if (known !== undefined) return known
    const made = compile(schema)
    compiled.set(text, made)
    return made
  }
}
