// @ts-check
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import { CallToolRequestSchema, ErrorCode, ListToolsRequestSchema, McpError } from '@modelcontextprotocol/sdk/types.js'
import * as z from 'zod'
import { InputError } from './analysis/input-error.mjs'
import { tools } from './mcp/tools.mjs'

const instructions = `Answers questions about data sources with charts and insights. Use the tools in this order:
1. list_sources: find the source that can answer the user's question.
2. analyze_source_structure: learn its columns.
3. generate_strategy: give it the user's question as it was asked.
4. create_configuration: show the markdown to the user and let them change it.
5. create_dashboard: give the user its dashboardUrl.
6. get_charts_data: fetches the rows; you only see how many.
7. analyze_charts: tell the user what the insights say, and nothing that they do not say.
Each tool takes what an earlier one returned under the same name. validate_settings checks the credentials at any time.`

// The low-level Server, not McpServer: a failure can say which tool returns the input that is missing.
const server = new Server({ name: 'insight-demo', version: '1.0.0' }, { capabilities: { tools: {} }, instructions })

server.setRequestHandler(ListToolsRequestSchema, () => ({
  tools: Object.entries(tools).map(([name, { description, input, writes = false }]) => {
    const { $schema, ...inputSchema } = z.toJSONSchema(z.object(input), { io: 'input' })
    const title = name.charAt(0).toUpperCase() + name.slice(1).replaceAll('_', ' ')
    return { name, title, description, inputSchema, annotations: { readOnlyHint: !writes } }
  })
}))

server.setRequestHandler(CallToolRequestSchema, async ({ params: { name, arguments: given = {} } }, { signal }) => {
  if (!Object.hasOwn(tools, name)) throw new McpError(ErrorCode.InvalidParams, `There is no tool "${name}"`)
  const { input, run } = tools[name]
  try {
    const outputs = await run(readInput(input, given), signal)
    return { content: [{ type: 'text', text: JSON.stringify({ status: 'success', ...outputs }) }] }
  } catch (error) {
    if (!(error instanceof InputError)) console.error(error)
    const text = error instanceof InputError ? error.message : 'The tool failed; the log of its server says why.'
    return { content: [{ type: 'text', text }], isError: true }
  }
})

/** The sentence of a failure names the place and what is wanted there, never the value: that may be a secret. */
function readInput (input, given) {
  // Some callers write null for what they leave out.
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null))
  const { data, error } = z.object(input).safeParse(present)
  if (data) return data
  const [{ path, message }] = error.issues
  const [name] = path
  if (!(name in present)) throw new InputError(`"${String(name)}" is missing. ${input[name].description}`)
  throw new InputError(`The input does not fit at ${path.join('/')}: ${message.replace(/^Invalid \w+: /, '')}.`)
}

await server.connect(new StdioServerTransport())
