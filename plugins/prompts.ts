import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { requestAll } from '../lib/tools/all-servers.ts'
import { UnknownPromptError } from '../lib/errors.ts'
import type { JsonObject } from '../lib/json.ts'
import type { CatalogedServer } from '../lib/tools/server-catalog.ts'
import type { ListedItems } from './resources.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The prompts of all servers; of several, named as their tools are. */
    listPrompts: () => Promise<ListedItems>
    /** A prompt by the name that callers know. Rejects with UnknownPromptError. */
    findPrompt: (exposedName: string) => Promise<{ entry: CatalogedServer, name: string }>
  }
}

/** The prompts of all servers. */
export default fp(async (fastify) => {
  const list = (request: FastifyRequest, entry: CatalogedServer): Promise<JsonObject[]> =>
    entry.prompts.get(entry.audienceOf(request.session.credentials), async () => {
      const { items, ttlMs } = await request.ask(entry, (manager, limits) => manager.listPrompts(limits))
      return { list: items, ttlMs }
    })

  fastify.decorateRequest('listPrompts', async function () {
    const { servers } = this
    const { answers, errors } = await requestAll(servers.entries, entry => list(this, entry))
    const items = answers.flatMap(({ server, answer }) => answer.map(prompt => ({ ...prompt, name: servers.names.exposedName(server, String(prompt.name)) })))
    return { items, errors }
  })

  fastify.decorateRequest('findPrompt', async function (exposedName) {
    const { names, entryOfTool } = this.servers
    const entry = entryOfTool(exposedName)
    if (entry === null) throw new UnknownPromptError(exposedName)
    // The only server's prompts keep their names, so that it can be asked for one at once.
    if (names.exposedName(entry.name, exposedName) === exposedName) return { entry, name: exposedName }
    const prompt = (await list(this, entry)).find(({ name }) => names.exposedName(entry.name, String(name)) === exposedName)
    if (prompt === undefined) throw new UnknownPromptError(exposedName)
    return { entry, name: String(prompt.name) }
  })
}, { name: 'prompts', dependencies: ['session', 'request-clients', 'resources'] })
