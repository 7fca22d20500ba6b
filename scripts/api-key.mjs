/*
 * Makes a new API key: npm run api-key -- <name of the caller>. It prints the key once and stores it nowhere. The
 * service gets only its hash.
 */
import { createHash, randomBytes } from 'node:crypto'
import { stop } from './environment.mjs'

const [name, ...others] = process.argv.slice(2)
if (others.length > 0 || !/^[\w-]{1,64}$/.test(name ?? '')) {
  stop('Say whose key it is, with 1 to 64 of A-Z, a-z, 0-9, _ and -: npm run api-key -- billing')
}

const key = `mcpk_${randomBytes(32).toString('base64url')}`
console.log(`For the caller, in Authorization: Bearer or X-API-Key. This key is not shown again:
${key}

For the service, to add to MCP_CLIENT_API_KEYS:
${name}:${createHash('sha256').update(key).digest('hex')}`)
