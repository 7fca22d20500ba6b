// @ts-check
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import { CallToolRequestSchema, ErrorCode, ListToolsRequestSchema, McpError } from '@modelcontextprotocol/sdk/types.js'
import { createToolCaller, inputSchema } from './mcp/call-tool.mjs'
import { tools } from './mcp/tools.mjs'

const instructions = `Answers questions about data sources with charts and computed insights. Use the tools in this order:
1. list_sources: find the source that can answer the user's question.
2. analyze_source_structure: learn its columns.
3. generate_strategy: give it the user's question as it was asked.
4. create_configuration: show the markdown to the user and let them change it.
5. create_dashboard: give the user its dashboardUrl.
6. get_charts_data: fetches the rows; you only see how many.
7. analyze_charts: tell the user what the insights say, and nothing that they do not say.
Each tool takes what an earlier one returned under the same name. validate_settings checks the credentials at any time.`

// The low-level Server, not McpServer: the schemas in tools.mjs reach the client exactly as they are written.
const server = new Server({ name: 'insight-demo', version: '1.0.0' }, { capabilities: { tools: {} }, instructions })

server.setRequestHandler(ListToolsRequestSchema, () => ({
  tools: Object.entries(tools).map(([name, tool]) => ({
    name,
    title: tool.title,
    description: tool.description,
    inputSchema: inputSchema(tool),
    annotations: { readOnlyHint: !tool.writes }
  }))
}))

const callTool = createToolCaller()

server.setRequestHandler(CallToolRequestSchema, ({ params }, { signal }) => {
  const tool = Object.hasOwn(tools, params.name) ? tools[params.name] : undefined
  if (!tool) throw new McpError(ErrorCode.InvalidParams, `There is no tool "${params.name}"`)
  return callTool(tool, params.arguments ?? {}, signal)
})

await server.connect(new StdioServerTransport())
