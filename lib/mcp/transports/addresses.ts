import type { LookupAddress, LookupOptions } from 'node:dns'
import { BlockList, isIP } from 'node:net'
import { embeddedIn } from './embedded-addresses.ts'

/**
 * Addresses that a server's name must not lead to: those of the machine's own link, and those where clouds keep the
 * metadata of their machines, which hold credentials.
 */
const guardedAddresses = new BlockList()
guardedAddresses.addSubnet('169.254.0.0', 16, 'ipv4')
guardedAddresses.addSubnet('fe80::', 10, 'ipv6')
for (const address of [
  '100.100.100.200', // Alibaba Cloud
  '168.63.129.16', // Azure, its wire server
  '192.0.0.192' // Oracle Cloud Classic
]) guardedAddresses.addAddress(address, 'ipv4')
for (const address of [
  'fd20:ce::254', // Google Cloud
  'fd00:c1::a9fe:a9fe', // Oracle Cloud
  'fd00:42::42', // Scaleway
  'fd00:a9fe:a9fe::1', // Linode
  'fd00:100::100:200' // Alibaba Cloud
]) guardedAddresses.addAddress(address, 'ipv6')
guardedAddresses.addSubnet('fd00:ec2::', 32, 'ipv6') // AWS: metadata, credentials of pods, DNS, time

/** The machine itself. A list of IPv4 addresses holds for the IPv6 addresses that they are mapped to, too. */
const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('0.0.0.0', 'ipv4')
loopback.addAddress('::1', 'ipv6')
loopback.addAddress('::', 'ipv6')

/** Whether a list of addresses has this one. A name is in none. */
export function isIn (list: BlockList, address: string): boolean {
  const family = isIP(address)
  // A list knows no zones, which link-local addresses may have at their end.
  return family !== 0 && list.check(address.replace(/%.*$/, ''), family === 4 ? 'ipv4' : 'ipv6')
}

/** The host of a URL as names and addresses are written elsewhere: no brackets, and no dot at its end. */
export const hostIn = ({ hostname }: URL) => hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')

/** Whether an address is one that no name may lead to, also when it is an IPv6 address that leads to an IPv4 one. */
export const isGuarded = (host: string) =>
  isIn(guardedAddresses, host) || embeddedIn(host).some(address => isIn(guardedAddresses, address))

export const isLoopback = (host: string) => isIn(loopback, host) || /^(.*\.)?localhost$/.test(host)

type LookupCallback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void

/** As `dns.lookup`. */
export type Lookup = (hostname: string, options: LookupOptions, callback: LookupCallback) => void

/** Refuses a name that leads to a guarded address. An address itself is never looked up. */
export function guardedBy (lookup: Lookup): Lookup {
  return (hostname, options, callback) => lookup(hostname, options, (error, found, family) => {
    if (error !== null) return callback(error, found, family)
    const addresses = Array.isArray(found) ? found.map(({ address }) => address) : [found]
    callback(addresses.some(isGuarded) ? guardedError(hostname) : null, found, family)
  })
}

export const guardedError = (hostname: string) =>
  Object.assign(new Error(`${hostname} leads to a link-local or metadata address`), { code: 'EACCES' })
