import {
  applyEdits, type JsonDocument, type JsonNode, memberOf, presentMember, readJson, removalsOf, stringMember, textOf
} from '../json-text.ts'
import type { RpcValue } from '../mcp/client/rpc-message.ts'

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

/**
 * Turns what a tool gave into the caller's reply and the session's values.
 *
 * One text block that is JSON becomes that JSON, bare; else `structuredContent`; else one text block is `{"result": text}`;
 * anything else is `{"content": […]}` as MCP has it. A failed tool is `{"status":"error","error": text}`. `intermediate` is
 * for the next tool only and never in the reply; what stands around it stays as the tool wrote it.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/tools#tool-result
 */
export function readToolResult ({ document, node }: RpcValue, options: ToolResultOptions): ToolResult {
  const content = presentMember(node, 'content')
  // Some servers give a block where a list of blocks is due.
  const blocks = content?.items ?? (content?.members === undefined ? [] : [content])
  const isError = memberOf(node, 'isError')
  if (isError !== null && textOf(document, isError) === 'true') {
    const texts = blocks.flatMap(block => stringMember(document, block, 'text') ?? [])
    const error = texts.join('\n') || `Tool ${options.tool} failed`
    return { body: JSON.stringify({ status: 'error', error }), outcome: 'tool_error', outputs: new Map() }
  }
  const text = onlyText(document, blocks)
  if (text !== null) {
    const json = readJson(JSON.parse(textOf(document, text)) as string, 2)
    if (json !== null) return present(json, json.root, options)
  }
  const structured = presentMember(node, 'structuredContent')
  if (structured !== null) return present(...withMembers(document, structured), options)
  const body = text === null
    ? `{"content":${content === null ? '[]' : textOf(document, content)}}`
    : `{"result":${textOf(document, text)}}`
  return { body, outcome: 'ok', outputs: new Map() }
}

/** The text of a result that is one text block and nothing else. */
function onlyText (document: JsonDocument, blocks: readonly JsonNode[]): JsonNode | null {
  const [block, ...others] = blocks
  if (block === undefined || others.length > 0 || stringMember(document, block, 'type') !== 'text') return null
  const text = memberOf(block, 'text')
  return text?.type === 'string' ? text : null
}

/** A value of the message as a document of its own, with the members of its members listed. */
function withMembers (document: JsonDocument, node: JsonNode): [JsonDocument, JsonNode] {
  const own = readJson(textOf(document, node), 2)
  return own === null ? [document, node] : [own, own.root]
}

function present (document: JsonDocument, root: JsonNode, options: ToolResultOptions): ToolResult {
  const body = applyEdits(document.text, removalsOf(root, ({ name }) => name === 'intermediate'))
  return { body, outcome: 'ok', outputs: collectOutputs(document, root, options) }
}

function collectOutputs (
  document: JsonDocument, root: JsonNode, { cacheResults, sensitiveParams }: ToolResultOptions
): Map<string, string> {
  const outputs = new Map<string, string>()
  if (root.members === undefined) return outputs
  const status = stringMember(document, root, 'status')
  const isKept = cacheResults === 'any' ? status !== 'error' : cacheResults === 'success' && status === 'success'
  if (!isKept) return outputs
  const intermediate = memberOf(root, 'intermediate')
  const visible = root.members.filter(({ name }) => name !== 'status' && name !== 'intermediate')
  const hidden = intermediate?.members ?? root.members.filter(({ value }) => value === intermediate)
  for (const { name, value } of [...visible, ...hidden]) {
    if (!sensitiveParams.includes(name)) outputs.set(name, textOf(document, value))
  }
  return outputs
}
