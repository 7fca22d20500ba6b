import fp from 'fastify-plugin'
import { isServiceError } from '../lib/errors.ts'
import { readJson, stringMember } from '../lib/json-text.ts'
import type { OpenApiDocument } from '../lib/openapi/document.ts'
import type { DescribedTool, Members } from '../lib/openapi/tool-operation.ts'
import { createToolsDocuments, tagOf } from '../lib/openapi/tools-document.ts'
import type { CatalogedServer } from '../lib/tools/cataloged-server.ts'
import type { CatalogTool, ToolCatalog } from '../lib/tools/tool-catalog.ts'
import type { JointList } from './server-requests.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * The OpenAPI document as JSON text, with an operation for each tool that these servers offer to this request.
     * `isTolerant`: a document without tools, which says so, where no server answers. `isToolsOnly`: without the
     * service's own operations.
     */
    describeTools: (
      servers: readonly CatalogedServer[], options: { isTolerant?: boolean, isToolsOnly: boolean }
    ) => Promise<string>
  }
}

/** Operations phase: describes each tool as an operation of its own. */
export default fp(async (fastify) => {
  const describe = createToolsDocuments()
  // Any reply may then be a reference, which is in no tool's output schema.
  const mayRefer = fastify.config.results.inlineBytes > 0
  const remembered = new WeakMap<ToolCatalog, DescribedTool[]>()

  function toolsIn (list: ToolCatalog, server: string): DescribedTool[] {
    const tools = remembered.get(list) ?? toolsOf(list, server, mayRefer)
    remembered.set(list, tools)
    return tools
  }

  fastify.decorateRequest('describeTools', async function (servers, { isTolerant = false, isToolsOnly }) {
    const list = this.listAll('tools', servers)
    const { answers, notes } = isTolerant ? await list.catch(error => nothing(servers, error)) : await list
    return await describe(answers.map(({ server, answer: list }) => ({ server, list, tools: toolsIn(list, server) })), {
      own: fastify.swagger() as unknown as OpenApiDocument,
      anyTool: '/tools/{tool}',
      notes: notes.map(([name, text]) => [`x-mcp-${name}`, text]),
      isToolsOnly
    })
  })
}, { name: 'tool-operations', dependencies: ['config', 'openapi', 'server-requests'] })

/** What is known where no server answers: why. */
function nothing (servers: readonly CatalogedServer[], error: unknown): Pick<JointList<'tools'>, 'answers'> & {
  notes: Members
} {
  if (!isServiceError(error)) throw error
  const errors = Object.fromEntries(servers.map(({ name }) => [name, error.message]))
  return { answers: [], notes: [['errors', JSON.stringify(errors)]] }
}

/** The tools of a list, each once: the last one of a name is the one that is called. */
function toolsOf ({ items, byName }: ToolCatalog, server: string, mayRefer: boolean): DescribedTool[] {
  const texts = new Map(items.map(text => {
    const document = readJson(text)
    return [document && stringMember(document, document.root, 'name'), text]
  }))
  return [...texts].flatMap(([name, text]): DescribedTool[] => {
    const tool = name === null ? undefined : byName.get(name)
    if (name === null || tool === undefined) return []
    return [{ name, text, tag: tagOf(server), givesStructured: !mayRefer && givesStructured(tool) }]
  })
}

/** Other policies and forms may give what is in a text, or MCP's own result: docs/api.md has the table. */
const givesStructured = ({ serverPolicy: { kind, result } }: CatalogTool): boolean =>
  kind !== 'chain' && result === 'default'
