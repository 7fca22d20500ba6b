/*
 * Runs fastify-cli on the built service, with our variables instead of its own: MCP_CLIENT_HOST, MCP_CLIENT_PORT,
 * MCP_LOG_LEVEL, MCP_CLOSE_GRACE, from the environment or from .env. A failed start gives its reason in one line.
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { checkNodeVersion, loadDotEnv, root, stop } from './environment.mjs'
import { cliArguments, explain } from './fastify-cli.mjs'
import { dropRepeatedSignals, endWithParent } from './signals.mjs'

checkNodeVersion()
// V8 watches where objects are made that live long, and makes later ones there in the old generation. In about one
// worker of five it took calls over HTTP for such, by chance and for good: each cost a quarter more from then on.
setFlagsFromString('--no-allocation-site-pretenuring')
loadDotEnv()
if (process.env.MCP_CLIENT_PORT === '0') process.env.PORT = '0'
const app = join(root, 'dist', 'app.js')
if (!existsSync(app)) stop('The service is not built: run npm run build first.')

const report = error => stop(explain(error))
process.once('unhandledRejection', report) // fastify-cli does not await a part of its start

dropRepeatedSignals()
endWithParent()

const { start } = createRequire(import.meta.url)('fastify-cli/start.js')
await start(['-l', 'info', ...cliArguments(process.env), '--options', app, ...process.argv.slice(2)]).catch(report)
process.off('unhandledRejection', report)
