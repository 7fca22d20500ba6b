import env from '@fastify/env'
import fp from 'fastify-plugin'
import { type Config, resolveConfig } from '../lib/config/config.ts'
import { environmentToDescribe } from '../lib/config/description.ts'
import {
  describeInvalidVariable, type Environment, EnvironmentSchema, normalizeEnvironment
} from '../lib/config/environment.ts'
import { readSecretFiles } from '../lib/config/secret-files.ts'
import { ConfigError } from '../lib/errors.ts'
import type { HostEnvironment } from '../lib/mcp/servers-file/host-environment.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The checked settings. */
    readonly config: Config
    /** The whole environment, from which MCP servers inherit. It holds secrets: never log it. */
    readonly hostEnvironment: HostEnvironment
  }
}

export interface ConfigPluginOptions {
  /** Overrides variables of the process's environment; `undefined` unsets one. */
  env?: HostEnvironment | undefined
  /**
   * The service is only to be described: its routes and plugins are there, and it needs neither Redis nor servers. What
   * the command line says when left out.
   */
  isDescribed?: boolean | undefined
}

/**
 * Whether this process runs a command of fastify-cli that starts no service. These commands give a plugin no options,
 * and fastify-cli has taken them out of `process.argv` by now; a report of Node still has them.
 */
function isDescribingCommand (): boolean {
  const [, script = '', ...others] = process.argv
  if (others.length > 0 || !/[\\/]fastify/.test(script)) return false
  const { header } = process.report.getReport() as unknown as { header: { commandLine: string[] } }
  return header.commandLine.some(argument => ['print-routes', 'print-plugins'].includes(argument))
}

const noValidation = 'MCP_SKIP_VALIDATION is true: credentials are not checked. Never run production like this'
const noEncryption = 'MCP_ENCRYPTION_KEYS is not set: anyone who can read Redis can read credentials and cached values'

const noCheck = 'the validation API checks apiUrl and jwtToken only: these credentials are what whoever opens a session says'

/** Start phase: reads and checks the environment. A variable with a wrong value ends the start with one line. */
export default fp<ConfigPluginOptions>(async (fastify, opts) => {
  const isDescribed = opts.isDescribed ?? isDescribingCommand()
  const given = { ...process.env, ...opts.env }
  const environment = isDescribed ? environmentToDescribe(given) : given
  const data = normalizeEnvironment(readSecretFiles(environment))
  try {
    await fastify.register(env, { schema: EnvironmentSchema, data, env: false, confKey: 'environment' })
  } catch (error) {
    throw new ConfigError(describe(error, data))
  }
  const config = resolveConfig(fastify.getDecorator<Environment>('environment'), { isDescribed })
  fastify.decorate('config', config)
  fastify.decorate('hostEnvironment', environment)

  const unchecked = config.sensitiveParams.filter(name => name !== 'apiUrl' && name !== 'jwtToken')
  if (unchecked.length > 0) {
    fastify.addHook('onListen', async () => fastify.log.warn({ credentialNames: unchecked }, noCheck))
  }
  if (config.logLevel !== undefined) fastify.log.level = config.logLevel
  if (config.validation === null && !isDescribed) fastify.log.warn(noValidation)
  if (config.encryptionKeys.length === 0) {
    // Only once there is a port: a start that fails before that says only why.
    fastify.addHook('onListen', async () => fastify.log.warn(noEncryption))
  }
}, { name: 'config' })

/** One clause for each variable with a wrong value. */
function describe (error: unknown, data: Readonly<Record<string, string>>): string {
  const { errors } = error as { errors?: Array<{ instancePath: string }> }
  const names = new Set(errors?.map(({ instancePath }) => instancePath.slice(1)))
  return [...names].map(name => describeInvalidVariable(name, data[name])).join('; ')
}
