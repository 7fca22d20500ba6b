import { isJsonObject } from '../json.ts'
import { memberOf, readJson, textOf } from '../json-text.ts'
import type { Listed, ListedItem } from '../mcp/client/list-pages.ts'
import { hasInvalidHeaders } from '../mcp/client/parameter-headers.ts'
import type { TaskSupport } from '../mcp/client/tool-call.ts'
import type { ServerPolicy, ToolPolicy } from '../mcp/servers-file/value-policy.ts'
import { exposeTool, isTooDeep } from './exposed-tool.ts'
import { declaredNames, requiredNames } from './json-schema.ts'
import { isWrapSchema, outputNames } from './wrapped-result.ts'

/** A tool, as it is called. */
export interface CatalogTool {
  /** The server's own name of the tool. */
  name: string
  /** Name of the server. */
  server: string
  /** What is kept of its calls, and what they are filled with. */
  policy: ToolPolicy
  serverPolicy: ServerPolicy
  /** Names that the tool's input declares, hidden ones included. */
  declared: readonly string[]
  /** Names that it requires, where the policy fills only these. */
  required: ReadonlySet<string>
  /** Names that callers neither see nor send, whether the tool declares them or not. */
  hidden: ReadonlySet<string>
  /** Names under which a caller's arguments are not kept: an argument that the operator gives is read from there. */
  guarded: ReadonlySet<string>
  /** Credentials that the tool gets, where the session has them. */
  credentials: readonly string[]
  /** A credential that the tool declares and its server may not have: nobody can call the tool. */
  refusedCredential?: string
  /** The tool's results are plain values that its server has wrapped; see wrapped-result.ts. */
  wrapsResult: boolean
  /** Whether the tool may be called as a task, or must be; absent for neither. */
  taskSupport?: TaskSupport
  /** The tool's input schema as the server wrote it. */
  schemaText: () => string
  /** The tool's input schema. Present only for a tool that wants arguments repeated in headers. */
  inputSchema?: unknown
}

export interface ToolCatalog {
  /** The tools as callers see them, each as JSON text, in the server's order. */
  items: readonly string[]
  /** Tools that are left out, and why. */
  warnings: readonly string[]
  /** The tools by the names that callers know. */
  byName: ReadonlyMap<string, CatalogTool>
  /** How the server says that it is used, if it says so. */
  instructions: string | undefined
}

export interface ToolCatalogOptions {
  /** Name of the server. */
  server: string
  policy: ServerPolicy
  sensitiveParams: readonly string[]
  /** The name that callers know a tool under. */
  exposedName: (tool: string) => string
  /** Whether the operator offers a tool at all. */
  offers: (tool: string) => boolean
  /** See CatalogTool. */
  guarded: ReadonlySet<string>
  /** Parameters that the session fills are shown as not required. */
  marksFilled: boolean
  /** A tool is left out: it declares a credential that its server may not have. */
  onRefusedCredential: (tool: string, credential: string) => void
  /** The policy is about a tool that the server does not list: what it says of the tool holds for none. */
  onUnknownTool: (tool: string) => void
}

/** The tools of one server: those that are offered, as callers see them and as the server is called. */
export function createToolCatalog (
  { items, warnings }: Pick<Listed, 'items' | 'warnings'>, instructions: string | undefined, options: ToolCatalogOptions
): ToolCatalog {
  const { exposedName, offers, policy, marksFilled, onRefusedCredential, onUnknownTool } = options
  for (const name of policy.tools.keys()) if (!items.some(item => nameOf(item) === name)) onUnknownTool(name)
  const offered = items.filter(item => offers(nameOf(item)))
  const [sound, faulty] = [offered.filter(item => !asksInvalidly(item)), offered.filter(asksInvalidly)]
  // One set for all tools that hide no more: a list may have a thousand.
  const sensitive = new Set(options.sensitiveParams)
  const tools = sound.map(item => ({ item, tool: describe(item, options, sensitive) }))
  const usable = tools.filter(({ tool }) => tool.refusedCredential === undefined)
  const filledNames = marksFilled ? createFilledNames(usable) : () => noNames
  const refusals = tools.flatMap(({ tool: { name, refusedCredential } }) => {
    if (refusedCredential === undefined) return []
    onRefusedCredential(name, refusedCredential)
    return [`tool ${quote(name)} needs the credential ${refusedCredential}, which its server may not have`]
  })
  return {
    items: usable.map(({ item, tool }) => exposeTool(item, {
      name: exposedName(tool.name), hidden: tool.hidden, filled: filledNames(tool)
    })),
    warnings: [
      ...warnings,
      ...faulty.map(item => `tool ${quote(nameOf(item))} has an x-mcp-header that is not allowed`),
      ...refusals
    ],
    byName: new Map(tools.map(({ tool }) => [exposedName(tool.name), tool])),
    instructions
  }
}

const nameOf = ({ value }: ListedItem) => String(value.name) // an item without one is not listed

const maxQuoteLength = 100

/** Names are the server's: they may be long, or hold control characters. */
const quote = (name: string) =>
  JSON.stringify(name.length <= maxQuoteLength ? name : `${name.slice(0, maxQuoteLength)}…`)

/**
 * Few tools use `x-mcp-header`: other schemas are not kept in memory. A schema that is too deep to be walked is taken
 * for one that takes any arguments.
 */
const wantsHeaders = ({ text, value }: ListedItem) => text.includes('x-mcp-header') && !isTooDeep(value.inputSchema)

/** The specification wants such a tool left out, so that nothing that routes by headers is misled. */
const asksInvalidly = (item: ListedItem) => wantsHeaders(item) && hasInvalidHeaders(item.value.inputSchema)

const noNames: ReadonlySet<string> = new Set()

function describe (
  item: ListedItem, { server, policy, guarded }: ToolCatalogOptions, sensitive: ReadonlySet<string>
): CatalogTool {
  const { inputSchema, outputSchema } = item.value
  const name = nameOf(item)
  const toolPolicy = policy.tools.get(name) ?? policy
  const declared = declaredNames(inputSchema)
  const secrets = declared.filter(name => sensitive.has(name) && !toolPolicy.sources.has(name))
  const refused = secrets.find(name => policy.credentials !== 'declared' && !policy.credentials.includes(name))
  return {
    name,
    server,
    policy: toolPolicy,
    serverPolicy: policy,
    declared,
    required: toolPolicy.fill === 'required' ? new Set(requiredNames(inputSchema)) : noNames,
    hidden: toolPolicy.sources.size === 0 ? sensitive : new Set([...sensitive, ...toolPolicy.sources.keys()]),
    guarded,
    credentials: refused === undefined ? secrets : [],
    ...(refused !== undefined && { refusedCredential: refused }),
    wrapsResult: isWrapSchema(outputSchema),
    ...taskSupportIn(item),
    schemaText: createSchemaText(item.text),
    ...(wantsHeaders(item) && { inputSchema })
  }
}

/** @see https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks#tool-level-negotiation */
function taskSupportIn ({ value: { execution } }: ListedItem): Pick<CatalogTool, 'taskSupport'> {
  const taskSupport = isJsonObject(execution) ? execution.taskSupport : null
  return taskSupport === 'required' || taskSupport === 'optional' ? { taskSupport } : {}
}

/** Looks for the schema when it is first wanted: most tools are listed far more often than they are called. */
function createSchemaText (toolText: string): () => string {
  let schemaText: string | null = null
  return () => {
    if (schemaText !== null) return schemaText
    const document = readJson(toolText)
    const schema = document && memberOf(document.root, 'inputSchema')
    schemaText = document === null || schema === null ? '{}' : textOf(document, schema)
    return schemaText
  }
}

/** Whether a call of the tool is filled in a parameter, when the session has a value for it. */
export function isFillable ({ policy: { fill }, hidden, required }: CatalogTool, name: string): boolean {
  return !hidden.has(name) && (fill === 'declared' || (fill === 'required' && required.has(name)))
}

/**
 * Gives the parameters of a tool that its session is known to fill: the operator names them, or another tool of the
 * server says in its output schema that it gives them. What a session holds does not matter, so that all sessions see
 * one list.
 */
function createFilledNames (tools: ReadonlyArray<{ item: ListedItem, tool: CatalogTool }>) {
  const given = new Map<string, Set<CatalogTool>>()
  for (const { item, tool } of tools) {
    if (!tool.policy.keepsResults || item.value.outputSchema === undefined) continue
    const isChain = tool.serverPolicy.kind === 'chain'
    for (const name of outputNames(item.value.outputSchema, isChain)) {
      given.set(name, (given.get(name) ?? new Set()).add(tool))
    }
  }
  return function filledNames (tool: CatalogTool): ReadonlySet<string> {
    if (tool.policy.fill === 'none' || (given.size === 0 && tool.policy.filled.length === 0)) return noNames
    const named = new Set(tool.policy.filled)
    const takesOwn = tool.policy.from.includes(tool.server)
    /** Whether another tool gives it. */
    function isGiven (name: string): boolean {
      const givers = given.get(name)
      return givers !== undefined && givers.size > Number(givers.has(tool))
    }
    return new Set(tool.declared.filter(name =>
      isFillable(tool, name) && (named.has(name) || (takesOwn && isGiven(name)))))
  }
}
