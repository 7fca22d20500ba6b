import type { CallToolResult } from '@modelcontextprotocol/client'
import { ResultTooDeepError } from '../errors.ts'
import { isJsonObject, isNestedDeeper, type JsonObject } from '../json.ts'

export interface ToolResult {
  /** The reply's body, JSON text. */
  body: string
  /** Whether the tool did its work, by MCP's own mark. */
  outcome: 'ok' | 'tool_error'
  /** Values that may fill later calls: JSON texts by name. */
  outputs: Map<string, string>
}

export interface ToolResultOptions {
  tool: string
  /** Which object results are kept: those whose `status` is "success", any that is no failure, or none. */
  cacheResults: 'success' | 'any' | 'off'
  /** Names that no result may set. */
  sensitiveParams: readonly string[]
}

/** JSON deeper than this is passed on as the text it came as; walking it would overflow the stack. */
const maxDepth = 1_000

/**
 * Turns a tool's result into the caller's reply and the session's values.
 *
 * One text block that is JSON becomes that JSON, bare; else `structuredContent`; else one text block is `{"result":
 * text}`; anything else is `{"content": […]}` as MCP has it. A failed tool is `{"status":"error","error": text}`.
 * `intermediate` is for the next tool only and never in the reply.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/tools#tool-result
 */
export function readToolResult (result: CallToolResult, options: ToolResultOptions): ToolResult {
  if (result.isError === true) {
    const error = textOf(result) || `Tool ${options.tool} failed`
    return { body: JSON.stringify({ status: 'error', error }), outcome: 'tool_error', outputs: new Map() }
  }
  const [block, ...more] = result.content
  const text = block?.type === 'text' && more.length === 0 ? block.text : undefined
  const parsed = text === undefined ? undefined : parseJson(text)
  try {
    if (text !== undefined && parsed !== undefined) return present(parsed.value, text, options)
    if (result.structuredContent !== undefined) return present(result.structuredContent, undefined, options)
    const plain = text === undefined ? { content: result.content } : { result: text }
    return present(plain, undefined, { ...options, cacheResults: 'off' })
  } catch (error) {
    if (error instanceof RangeError) throw new ResultTooDeepError(options.tool)
    throw error
  }
}

/** `source`, when given, is the value's own JSON text: a reply that leaves nothing out repeats it unchanged. */
function present (value: unknown, source: string | undefined, options: ToolResultOptions): ToolResult {
  if (!isJsonObject(value)) return { body: source ?? JSON.stringify(value), outcome: 'ok', outputs: new Map() }
  const { intermediate, ...visible } = value
  const body = source !== undefined && intermediate === undefined ? source : JSON.stringify(visible)
  return { body, outcome: 'ok', outputs: collectOutputs(value, options) }
}

function collectOutputs (value: JsonObject, { cacheResults, sensitiveParams }: ToolResultOptions): Map<string, string> {
  const outputs = new Map<string, string>()
  const { intermediate, status, ...visible } = value
  const isKept = cacheResults === 'any' ? status !== 'error' : cacheResults === 'success' && status === 'success'
  if (!isKept) return outputs
  const hidden = isJsonObject(intermediate) ? intermediate : { ...(intermediate !== undefined && { intermediate }) }
  for (const source of [visible, hidden]) {
    for (const [name, output] of Object.entries(source)) {
      if (!sensitiveParams.includes(name)) outputs.set(name, JSON.stringify(output))
    }
  }
  return outputs
}

function parseJson (text: string): { value: unknown } | undefined {
  if (isNestedDeeper(text, maxDepth)) return undefined
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined // plain text, then
  }
}

function textOf (result: CallToolResult): string {
  return result.content.flatMap(block => block.type === 'text' ? [block.text] : []).join('\n')
}
