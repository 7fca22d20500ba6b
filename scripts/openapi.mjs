/*
 * Prints the OpenAPI document of the service, or writes it to the file that is named. Needs no Redis and no MCP server.
 * Settings that shape the document count, from the environment or from .env: MCP_BASE_PATH, MCP_CLIENT_API_KEYS.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, checkNodeVersion, loadDotEnv, root, stop } from './environment.mjs'
import { explain } from './fastify-cli.mjs'

checkNodeVersion()
const [file, ...others] = process.argv.slice(2)
if (others.length > 0) stop('Say at most one file to write the document to: npm run openapi -- openapi.json')
loadDotEnv()
build()

const { default: Fastify } = await import('fastify')
const { default: fp } = await import('fastify-plugin')
const { default: app, options } = await import(join(root, 'dist', 'app.js'))

const service = Fastify({ ...options, logger: false })
try {
  await service.register(fp(app), { isDescribed: true })
  await service.ready()
  const text = `${JSON.stringify(service.swagger(), null, 2)}\n`
  if (file === undefined) process.stdout.write(text)
  else writeFileSync(file, text)
  await service.close()
} catch (error) {
  stop(explain(error))
}
