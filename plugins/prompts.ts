import fp from 'fastify-plugin'
import { UnknownPromptError } from '../lib/errors.ts'
import type { CatalogedServer } from '../lib/tools/cataloged-server.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * The prompt that callers know under a name, with its server's own name for it. Rejects with UnknownPromptError.
     */
    findPrompt: (exposedName: string) => Promise<{ server: CatalogedServer, name: string }>
  }
}

/** Finds the server that a prompt is requested from. */
export default fp(async (fastify) => {
  fastify.decorateRequest('findPrompt', async function (exposedName) {
    const server = this.servers.byExposedName(exposedName)
    const name = server && await this.findPromptName(server, exposedName)
    if (server === null || name === null) throw new UnknownPromptError(exposedName)
    return { server, name }
  })
}, { name: 'prompts', dependencies: ['request-clients', 'server-requests'] })
