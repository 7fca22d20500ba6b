import fp from 'fastify-plugin'
import type { FastifyRequest } from 'fastify'
import type { Credentials } from '../lib/sessions/credential-validator.ts'
import { InvalidCredentialsError, UpstreamUnauthorizedError } from '../lib/errors.ts'
import type { JsonObject } from '../lib/json.ts'

const kVerdict = Symbol('credentialVerdict')

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * Does `work`. When an MCP server refuses the session's credentials, the API that accepted them checks them again.
     * Rejects with InvalidCredentialsError (401) when they are no longer good, else with the server's refusal.
     */
    recheckingCredentials: <Value>(work: () => Promise<Value>) => Promise<Value>
    /** Settled by the first refusal; the API checks once for each request, however many servers refuse. */
    [kVerdict]: Promise<Refusal | null> | null
  }
}

type Refusal = InstanceType<typeof InvalidCredentialsError>
type Refused = InstanceType<typeof UpstreamUnauthorizedError> & { authorization?: JsonObject }

/** MCP phase: tells credentials that are no longer good from a server's own fault. */
export default fp(async (fastify) => {
  fastify.decorateRequest(kVerdict, null)
  fastify.decorateRequest('recheckingCredentials', function (work) {
    return work().catch(async (error: unknown) => {
      if (!(error instanceof UpstreamUnauthorizedError) || !this.hasSession) throw error
      this[kVerdict] ??= verdict(this)
      throw withFacts(await this[kVerdict], error) ?? error
    })
  })

  async function verdict ({ session, callerSignal, log }: FastifyRequest): Promise<Refusal | null> {
    if (!areComplete(session.credentials)) return null
    try {
      await fastify.validateCredentials(session.credentials, callerSignal)
      return null
    } catch (error) {
      if (error instanceof InvalidCredentialsError) return error
      log.warn({ err: error }, 'the credentials that an mcp server refused could not be checked again')
      return null
    }
  }
}, { name: 'credential-recheck', dependencies: ['credentials', 'session', 'caller-signal'] })

/** The refusal, with what is known of the request that the server refused. */
function withFacts (refusal: Refusal | null, { acted, authorization }: Refused): Refusal | null {
  return refusal && Object.assign(refusal, {
    ...(acted !== undefined && { acted }),
    ...(authorization !== undefined && { authorization })
  })
}

/** A session of an older version may not have the checked fields as credentials. */
const areComplete = (credentials: JsonObject): credentials is JsonObject & Credentials =>
  typeof credentials.apiUrl === 'string' && typeof credentials.jwtToken === 'string'
