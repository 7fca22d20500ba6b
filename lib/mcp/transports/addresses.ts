import type { LookupAddress, LookupOptions } from 'node:dns'
import { BlockList, isIP } from 'node:net'

/**
 * Addresses that a server's name must not lead to: those of the machine's own link, where clouds keep their metadata.
 */
const linkLocal = new BlockList()
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4')
linkLocal.addSubnet('fe80::', 10, 'ipv6')

/** The machine itself. A list of IPv4 addresses holds for the IPv6 addresses that they are mapped to, too. */
const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('0.0.0.0', 'ipv4')
loopback.addAddress('::1', 'ipv6')
loopback.addAddress('::', 'ipv6')

/** Whether a list of addresses has this one. A name is in none. */
export function isIn (list: BlockList, address: string): boolean {
  const family = isIP(address)
  return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6')
}

/** The host of a URL as names and addresses are written elsewhere: no brackets, and no dot at its end. */
export const hostIn = ({ hostname }: URL) => hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')

export const isLinkLocal = (host: string) => isIn(linkLocal, host)
export const isLoopback = (host: string) => isIn(loopback, host) || /^(.*\.)?localhost$/.test(host)

type LookupCallback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void

/** As `dns.lookup`. */
export type Lookup = (hostname: string, options: LookupOptions, callback: LookupCallback) => void

/** Refuses a name that leads to a link-local address. An address itself is never looked up. */
export function guardedBy (lookup: Lookup): Lookup {
  return (hostname, options, callback) => lookup(hostname, options, (error, found, family) => {
    if (error !== null) return callback(error, found, family)
    const addresses = Array.isArray(found) ? found.map(({ address }) => address) : [found]
    callback(addresses.some(isLinkLocal) ? linkLocalError(hostname) : null, found, family)
  })
}

export const linkLocalError = (hostname: string) =>
  Object.assign(new Error(`${hostname} leads to a link-local address`), { code: 'EACCES' })
