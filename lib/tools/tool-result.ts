import {
  applyEdits, editedText, type JsonDocument, type JsonNode, type JsonValue, memberOf, memberTexts, presentMember,
  readJson, removalsOf, stringMember, stringOf, textOf
} from '../json-text.ts'

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
 * One text block that is JSON becomes that JSON, bare; else `structuredContent`; else one text block is
 * `{"result": text}`; anything else is `{"content": […]}` as MCP has it. A failed tool is
 * `{"status":"error","error": text}`. `intermediate` is for the next tool only and never in the reply; everything
 * around it stays as the tool wrote it.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/tools#tool-result
 */
export function readToolResult ({ document, node }: JsonValue, options: ToolResultOptions): ToolResult {
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
    const given = stringOf(document, text)
    const json = readJson(given)
    // A text that is nothing but `NaN` or `Infinity` is a word, as any other.
    const isWord = json?.root.type === 'null' && !given.includes('null')
    if (json !== null && !isWord) {
      const outputs = collectOutputs({ document: json, node: json.root }, options)
      return { body: applyEdits(json.text, intermediateIn(json.root)), outcome: 'ok', outputs }
    }
  }
  const structured = presentMember(node, 'structuredContent')
  if (structured !== null) {
    const value = { document, node: structured }
    const body = editedText(value, intermediateIn(structured))
    return { body, outcome: 'ok', outputs: collectOutputs(value, options) }
  }
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

/** The values in `intermediate`, which is one value itself when it is no object. */
function hiddenOutputs (text: string): Iterable<readonly [name: string, text: string]> {
  const document = readJson(text)
  return document?.root.members === undefined ? [['intermediate', text]] : memberTexts(document)
}

const intermediateIn = (node: JsonNode) => removalsOf(node, ({ name }) => name === 'intermediate')

function collectOutputs (
  { document, node }: JsonValue, { cacheResults, sensitiveParams }: ToolResultOptions
): Map<string, string> {
  const outputs = new Map<string, string>()
  if (node.members === undefined) return outputs
  const status = stringMember(document, node, 'status')
  const isKept = cacheResults === 'any' ? status !== 'error' : cacheResults === 'success' && status === 'success'
  if (!isKept) return outputs
  const intermediate = memberOf(node, 'intermediate')
  const visible = node.members.filter(({ name }) => name !== 'status' && name !== 'intermediate')
  const hidden = intermediate === null ? [] : hiddenOutputs(textOf(document, intermediate))
  const shown = visible.map(({ name, value }) => [name, textOf(document, value)] as const)
  for (const [name, text] of [...shown, ...hidden]) {
    if (!sensitiveParams.includes(name)) outputs.set(name, text)
  }
  return outputs
}
