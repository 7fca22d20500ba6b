import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { UnknownContinuationError, UnknownPromptError } from '../lib/errors.ts'
import { objectText, presentMember, textOf } from '../lib/json-text.ts'
import type { Continuation } from '../lib/mcp/client/server-client.ts'
import type { CatalogedServer } from '../lib/tools/cataloged-server.ts'
import { continuationOf, listText, suspend, type SuspendableReply } from '../lib/tools/suspended-request.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * The prompt that callers know under a name, with its server's own name for it. Rejects with UnknownPromptError.
     */
    findPrompt: (exposedName: string) => Promise<{ server: CatalogedServer, name: string }>
    /** Gives a prompt. The arguments are the body's `arguments`. */
    getPrompt: (exposedName: string) => Promise<SuspendableReply>
    /** Goes on with a prompt whose server requested input. The responses are the body's `responses`. */
    resumePrompt: (token: string) => Promise<SuspendableReply>
  }
}

interface PromptRequest { prompt: string, args: string, continuation?: Continuation }

/** Operations phase: finds the server of a prompt, and requests the prompt. */
export default fp(async (fastify) => {
  const { pendingCalls, config: { elicitation } } = fastify

  fastify.decorateRequest('findPrompt', async function (exposedName) {
    const server = this.servers.byExposedName(exposedName)
    const name = server && await this.findPromptName(server, exposedName)
    if (server === null || name === null) throw new UnknownPromptError(exposedName)
    this.audit({ server: server.name })
    return { server, name }
  })

  fastify.decorateRequest('getPrompt', async function (prompt) {
    const found = await this.findPrompt(prompt)
    return await get(this, found, { prompt, args: this.fieldText('arguments') ?? '{}' })
  })

  fastify.decorateRequest('resumePrompt', async function (token) {
    const pending = (await pendingCalls.take(this.session, 'prompt', token))?.request ?? null
    if (pending === null) throw new UnknownContinuationError()
    const { prompt, args } = pending
    const found = await this.findPrompt(prompt)
    return await get(this, found, { prompt, args, continuation: continuationOf(pending, this.fieldText('responses')) })
  })

  async function get (
    request: FastifyRequest,
    { server, name }: { server: CatalogedServer, name: string },
    { prompt, args, continuation }: PromptRequest
  ): Promise<SuspendableReply> {
    const answer = await request.useServer(server, 'list', (client, limits) =>
      client.getPrompt(name, args, limits, continuation))
    // Only now is it known that the prompt exists. An unknown name may hold anything.
    request.audit({ prompt })
    if ('result' in answer) {
      const { document, node } = answer.result
      const description = presentMember(node, 'description')
      return {
        body: objectText([
          ...(description === null ? [] : [['description', textOf(document, description)] as const]),
          ['messages', listText(answer.result, 'messages')]
        ])
      }
    }
    const body = await suspend(answer.inputRequired, {
      pendingCalls: elicitation ? pendingCalls : null,
      session: request.session,
      kind: 'prompt',
      request: { prompt, args },
      server: server.name,
      mask: request.maskFor(server),
      what: `prompt ${prompt}`
    })
    request.audit({ outcome: 'input_required' })
    return { body, isSuspended: true }
  }
}, {
  name: 'prompts',
  dependencies: ['config', 'redis', 'json-body', 'audit', 'session', 'request-clients', 'masking', 'server-requests']
})
