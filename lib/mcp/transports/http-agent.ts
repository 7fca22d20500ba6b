import { lookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { BlockList } from 'node:net'
import { Agent } from 'undici'

/**
 * Addresses that a server's name must not lead to: those of the machine's own link, where clouds keep their metadata.
 */
const linkLocal = new BlockList()
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4')
linkLocal.addSubnet('fe80::', 10, 'ipv6')

const connectTimeoutMs = 10_000

/**
 * The connections to all MCP servers over HTTP: one pool for an origin, kept alive between requests.
 *
 * Each request has its own deadline; the pool has one for connecting only. A name that leads to a link-local address is
 * refused; an operator who wants a server there gives its address.
 */
export function createUpstreamAgent (): Agent {
  return new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: connectTimeoutMs, lookup: guardedLookup } })
}

type LookupCallback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void

function guardedLookup (hostname: string, options: LookupOptions, callback: LookupCallback): void {
  lookup(hostname, options, (error, found, family) => {
    if (error !== null) return callback(error, found, family)
    const addresses: LookupAddress[] = Array.isArray(found) ? found : [{ address: found, family }]
    const isRefused = addresses.some(({ address, family }) => linkLocal.check(address, family === 6 ? 'ipv6' : 'ipv4'))
    if (!isRefused) return callback(null, found, family)
    callback(Object.assign(new Error(`${hostname} leads to a link-local address`), { code: 'EACCES' }), found, family)
  })
}
