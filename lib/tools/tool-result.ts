import {
  applyEdits, editedText, type JsonDocument, type JsonEdit, type JsonNode, type JsonValue, memberOf, memberTexts,
  presentMember, readJson, removalsOf, stringMember, stringOf, textOf
} from '../json-text.ts'
import { type Mask, maskJson } from '../mask.ts'
import type { ResultShape, ToolPolicy } from '../mcp/servers-file/value-policy.ts'
import { blocksLeftOut } from './repeated-blocks.ts'
import { wrappedValue } from './wrapped-result.ts'

/** The origin of a reply: `structuredContent`, the JSON in a text, texts, the list of blocks, or MCP's own result. */
export type ReplyForm = 'structured' | 'json' | 'text' | 'content' | 'mcp'

export interface ToolResult {
  /** The reply's body, JSON text. */
  body: string
  form: ReplyForm
  /** Types of content blocks that the reply leaves out and does not repeat; `intermediate` where that is left out. */
  leftOut: readonly string[]
  /** Whether the tool did its work, by MCP's own mark. */
  outcome: 'ok' | 'tool_error'
  /** Values that may fill later calls: JSON texts by name. */
  outputs: Map<string, string>
  /** Names of a result that has too many: none of its values is kept. */
  tooMany: readonly string[]
}

export interface ToolResultOptions {
  tool: string
  /** A result under the policy `chain` may be JSON in a text, and its `intermediate` is for the next tool. */
  isChain: boolean
  shape: ResultShape
  policy: Pick<ToolPolicy, 'keepsResults'>
  /** The tool's results are plain values that its server has wrapped. */
  wrapsResult: boolean
  /** Which object results of a chain are kept: those whose `status` is "success", any that is no failure, or none. */
  cacheResults: 'success' | 'any' | 'off'
  /** How many names one result may have to be kept. */
  maxNames: number
  /** For the words of a tool that failed. */
  mask: Mask
  /** Names that no result may set. */
  sensitiveParams: ReadonlySet<string>
}

/** A result, taken apart. */
interface Answer extends JsonValue {
  content: JsonNode | null
  blocks: readonly JsonNode[]
  structured: JsonNode | null
  /** The text of a result that is one text block and nothing else. */
  text: JsonNode | null
}

/**
 * Turns what a tool gave into the caller's reply and the session's values. docs/api.md has the table of replies.
 *
 * Everything that is not left out stays as the tool wrote it, but for secrets in the words of a tool that failed.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/server/tools#tool-result
 */
export function readToolResult (result: JsonValue, options: ToolResultOptions): ToolResult {
  const { isChain, shape } = options
  const answer = takeApart(result)
  const isError = memberOf(result.node, 'isError')
  const isFailure = isError !== null && textOf(result.document, isError) === 'true'
  const json = answer.text !== null && !isFailure && (isChain || shape === 'json')
    ? jsonIn(stringOf(result.document, answer.text))
    : null
  const given = isFailure || !options.policy.keepsResults
    ? new Map<string, string>()
    : outputsOf(answer, isChain ? json : null, options)
  const kept = given.size <= options.maxNames
    ? { outputs: given, tooMany: [] }
    : { outputs: new Map<string, string>(), tooMany: [...given.keys()] }
  const outcome = isFailure ? 'tool_error' : 'ok'
  if (shape === 'mcp') {
    const { body, ...whole } = wholeResult(answer, isChain)
    return { ...whole, body: isFailure ? maskJson(body, options.mask) : body, outcome, ...kept }
  }
  if (isFailure) return { outcome, ...failure(answer, options), ...kept }
  return { outcome, ...replyOf(answer, json, options), ...kept }
}

type Reply = Pick<ToolResult, 'body' | 'form' | 'leftOut'>

function takeApart ({ document, node }: JsonValue): Answer {
  const content = presentMember(node, 'content')
  // Some servers give a block where a list of blocks is due.
  const blocks = content?.items ?? (content?.members === undefined ? [] : [content])
  const [block, ...others] = blocks
  const isText = block !== undefined && others.length === 0 && stringMember(document, block, 'type') === 'text'
  const text = isText ? memberOf(block, 'text') : null
  return {
    document,
    node,
    content,
    blocks,
    structured: presentMember(node, 'structuredContent'),
    text: text?.type === 'string' ? text : null
  }
}

/** The JSON in a text. A text that is nothing but `NaN` or `Infinity` is a word, as any other. */
function jsonIn (text: string): JsonDocument | null {
  const json = readJson(text, 'members')
  return json?.root.type === 'null' && !text.includes('null') ? null : json
}

function failure (
  { document, blocks }: Answer, { tool, mask }: Pick<ToolResultOptions, 'tool' | 'mask'>
): Reply {
  const texts = blocks.flatMap(block => stringMember(document, block, 'text') ?? [])
  const error = texts.join('\n') || `Tool ${tool} failed`
  const body = JSON.stringify({ status: 'error', error: mask(error) })
  return { body, form: 'text', leftOut: blocksLeftOut({ document, blocks }) }
}

function replyOf (answer: Answer, json: JsonDocument | null, { isChain, wrapsResult }: ToolResultOptions): Reply {
  const { document, structured, text, content } = answer
  if (json !== null) {
    const body = isChain ? applyEdits(json.text, intermediateIn(json.root)) : json.text
    return { body, form: 'json', leftOut: [] }
  }
  if (structured !== null) {
    const wrapped = wrapsResult ? wrappedValue(structured) : null
    // A text in its wrap is what the Flask service gave for a text.
    const node = isChain && wrapped !== null && wrapped.type !== 'string' ? wrapped : structured
    return {
      body: isChain ? withoutIntermediate({ document, node }) : textOf(document, node),
      form: 'structured',
      leftOut: blocksLeftOut({ ...answer, wrapped })
    }
  }
  if (text !== null) return { body: `{"result":${textOf(document, text)}}`, form: 'text', leftOut: [] }
  const items = content === null ? '[]' : textOf(document, content)
  return { body: `{"content":${items}}`, form: 'content', leftOut: [] }
}

/** MCP's own result, for a chain without what is for the next tool only. */
function wholeResult ({ document, node, structured, blocks }: Answer, isChain: boolean): Reply {
  const edits = isChain ? [...hiddenInStructured(structured), ...blocks.flatMap(hiddenInText)] : []
  return {
    body: editedText({ document, node }, edits), form: 'mcp', leftOut: edits.length === 0 ? [] : ['intermediate']
  }

  function hiddenInStructured (value: JsonNode | null): JsonEdit[] {
    return value === null ? [] : intermediateIn(value)
  }

  function hiddenInText (block: JsonNode): JsonEdit[] {
    const text = memberOf(block, 'text')
    const json = text?.type === 'string' ? readJson(stringOf(document, text), 'members') : null
    const hidden = json === null ? [] : intermediateIn(json.root)
    if (text === null || json === null || hidden.length === 0) return []
    return [{ start: text.start, end: text.end, text: JSON.stringify(applyEdits(json.text, hidden)) }]
  }
}

const isIntermediate = ({ name }: { name: string }) => name === 'intermediate'
const intermediateIn = (node: JsonNode) => removalsOf(node, isIntermediate)
const withoutIntermediate = (value: JsonValue) => editedText(value, intermediateIn(value.node))

/**
 * The values that a result gives. A text counts only where the operator has said so with `chain`: what a file, a page
 * or a mail holds must not decide what later calls do.
 */
function outputsOf (answer: Answer, json: JsonDocument | null, options: ToolResultOptions): Map<string, string> {
  if (json !== null) return collectOutputs({ document: json, node: json.root }, options)
  const { document, structured } = answer
  if (structured === null) return new Map()
  const wrapped = options.wrapsResult ? wrappedValue(structured) : null
  if (wrapped === null) return collectOutputs({ document, node: structured }, options)
  const value = readJson(textOf(document, wrapped), 'members')
  return value === null ? new Map() : collectOutputs({ document: value, node: value.root }, options)
}

function collectOutputs (
  { document, node }: JsonValue, { isChain, cacheResults, sensitiveParams }: ToolResultOptions
): Map<string, string> {
  const outputs = new Map<string, string>()
  if (node.members === undefined) return outputs
  const status = stringMember(document, node, 'status')
  // An entry's own word decides what is kept, and MCP's mark what is a failure; `status` is a chain's way to say both.
  const kept = isChain ? cacheResults : cacheResults === 'off' ? 'off' : 'any'
  const isKept = kept === 'any' ? status !== 'error' : kept === 'success' && status === 'success'
  if (!isKept) return outputs
  const intermediate = isChain ? memberOf(node, 'intermediate') : null
  const visible = node.members.filter(member => member.name !== 'status' && !(isChain && isIntermediate(member)))
  const hidden = intermediate === null ? [] : hiddenOutputs(textOf(document, intermediate))
  const shown = visible.map(({ name, value }) => [name, textOf(document, value)] as const)
  for (const [name, text] of [...shown, ...hidden]) {
    if (!sensitiveParams.has(name)) outputs.set(name, text)
  }
  return outputs
}

/** The values in `intermediate`, which is one value itself when it is no object. */
function hiddenOutputs (text: string): Iterable<readonly [name: string, text: string]> {
  const document = readJson(text, 'members')
  return document?.root.members === undefined ? [['intermediate', text]] : memberTexts(document)
}
