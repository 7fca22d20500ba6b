import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { fileURLToPath } from 'node:url'
import { signDemoToken, startDemoApi } from '../../examples/demo-api.mjs'

interface Teardown {
  teardown: (close: () => Promise<void>) => void
}

export interface Credentials {
  apiUrl: string
  jwtToken: string
}

/** What a tool answered: its JSON, or the sentence of its failure. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- every tool has outputs of its own, and tests read them
export type Answer = { failed: false; text: string; outputs: any } | { failed: true; text: string; outputs: null }

export type Call = (tool: string, input?: Record<string, unknown>) => Promise<Answer>

/** The real API on a free port, with a token that it accepts. */
export async function openApi (t: Teardown): Promise<Credentials> {
  const api = await startDemoApi()
  t.teardown(() => api.close())
  return { apiUrl: api.url, jwtToken: await signDemoToken() }
}

/** The real MCP server as a child process, over stdio. */
export async function openServer (t: Teardown): Promise<{ client: Client; call: Call }> {
  const client = new Client({ name: 'demo-test', version: '1.0.0' })
  const script = fileURLToPath(new URL('../../examples/mcp-server.mjs', import.meta.url))
  await client.connect(new StdioClientTransport({ command: process.execPath, args: [script] }))
  t.teardown(() => client.close())

  return {
    client,
    async call (tool, input = {}) {
      const { content, isError } = await client.callTool({ name: tool, arguments: input })
      const blocks = content as Array<{ type: string; text: string }>
      if (blocks.length !== 1 || blocks[0]?.type !== 'text') { throw new Error(`${tool} did not answer with one text block`) }
      const { text } = blocks[0]
      return isError === true
        ? { failed: true, text, outputs: null }
        : { failed: false, text, outputs: JSON.parse(text) }
    }
  }
}

/** Outputs of every call of the seven-step workflow, under the names that the later tools take. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in Answer
export type Outputs = Record<string, any>

/**
 * Walks the workflow for one question as a gateway does: what one tool returned goes to the next one under its name.
 * What analyze_source_structure returned before may be given as `learned`. Throws the sentence of the first failure.
 */
export async function askQuestion (
  call: Call,
  credentials: Credentials,
  sourceId: string,
  question: string,
  learned: Outputs = {}
): Promise<Outputs> {
  const known: Outputs = { ...credentials, sourceId, question, ...learned }
  const steps: Array<[string, string[]]> = [
    ['analyze_source_structure', ['apiUrl', 'jwtToken', 'sourceId']],
    ['generate_strategy', ['question', 'columnAnalysis']],
    ['create_configuration', ['question', 'columnAnalysis', 'strategy']],
    ['create_dashboard', ['apiUrl', 'jwtToken', 'markdownConfig', 'sourceStructure']],
    ['get_charts_data', ['apiUrl', 'jwtToken', 'chartConfigs']],
    ['analyze_charts', ['chartData', 'question']]
  ]
  for (const [tool, names] of steps) {
    if (tool === 'analyze_source_structure' && known.columnAnalysis) continue
    const { failed, text, outputs } = await call(tool, Object.fromEntries(names.map(name => [name, known[name]])))
    if (failed) throw new Error(`${tool}, "${question}" of ${sourceId}: ${text}`)
    if (outputs.status !== 'success') throw new Error(`${tool} did not say "success"`)
    Object.assign(known, outputs, outputs.intermediate)
  }
  return known
}
