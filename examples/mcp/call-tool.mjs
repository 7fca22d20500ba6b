// @ts-check
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv'
import { InputError } from '../analysis/input-error.mjs'

/** @import { CallToolResult } from '@modelcontextprotocol/sdk/types.js' */
/** @import { JsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/types.js' */
/** @import { DemoTool, Outputs } from './tools.mjs' */

/**
 * Where an input comes from when it does not come from the user.
 * @type {Record<string, string>}
 */
const RETURNED_BY = {
  columnAnalysis: 'analyze_source_structure',
  sourceStructure: 'analyze_source_structure',
  strategy: 'generate_strategy',
  markdownConfig: 'create_configuration',
  chartConfigs: 'create_dashboard',
  chartData: 'get_charts_data'
}

/** @param {DemoTool} tool */
export function inputSchema ({ properties, optional = [] }) {
  const required = Object.keys(properties).filter(name => !optional.includes(name))
  return { type: /** @type {const} */ ('object'), properties, required }
}

/** Makes a function that runs a tool. Schemas are compiled when their tool is first called. */
export function createToolCaller () {
  const ajv = new AjvJsonSchemaValidator()
  /** @type {Map<DemoTool, JsonSchemaValidator<unknown>>} */
  const validators = new Map()

  /**
   * What fails becomes a result with `isError` and a sentence that a model can act on; it never rejects.
   * @param {DemoTool} tool
   * @param {Record<string, unknown>} input
   * @param {AbortSignal} signal
   * @returns {Promise<CallToolResult>}
   */
  return async function callTool (tool, input, signal) {
    try {
      // Some callers write null for what they leave out.
      const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== null))
      checkInput(tool, given)
      return success(await tool.run(given, signal))
    } catch (error) {
      return failure(error)
    }
  }

  /**
   * @param {DemoTool} tool
   * @param {Record<string, unknown>} input
   */
  function checkInput (tool, input) {
    const schema = inputSchema(tool)
    for (const name of schema.required) {
      if (input[name] !== undefined) continue
      throw new InputError(RETURNED_BY[name] ? `"${name}" is missing: ${RETURNED_BY[name]} returns it.` : `"${name}" is missing.`)
    }
    const validate = validators.get(tool) ?? ajv.getValidator(schema)
    validators.set(tool, validate)
    const { valid, errorMessage } = validate(input)
    // The validator names the place and what is wanted there, never the value. One remark for each of ten thousand
    // rows would help nobody.
    if (!valid) throw new InputError(`The input does not fit: ${errorMessage.slice(0, 300)}.`)
  }
}

/**
 * @param {Outputs} outputs
 * @returns {CallToolResult}
 */
function success (outputs) {
  return { content: [{ type: 'text', text: JSON.stringify({ status: 'success', ...outputs }) }] }
}

/**
 * @param {unknown} error
 * @returns {CallToolResult}
 */
function failure (error) {
  const expected = error instanceof InputError
  if (!expected) console.error(error)
  return {
    content: [{ type: 'text', text: expected ? error.message : 'The tool failed; the log of its server says why.' }],
    isError: true
  }
}
