import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { createCallerAddress, parseProxies } from '../../../lib/http/caller-address.ts'

/** The address of a caller who connects from `peer` with this `X-Forwarded-For`. */
function addressOf (trusted: string, peer: string | undefined, forwarded?: string): string {
  const request = {
    headers: { ...(forwarded !== undefined && { 'x-forwarded-for': forwarded }) }, socket: { remoteAddress: peer }
  }
  return createCallerAddress(trusted === '' ? [] : parseProxies(trusted) ?? [])(request as unknown as IncomingMessage)
}

t.test('without trusted proxies, the address is that of the connection, whatever X-Forwarded-For says', async t => {
  t.equal(addressOf('', '192.0.2.1'), '192.0.2.1')
  t.equal(addressOf('', '192.0.2.1', '198.51.100.7'), '192.0.2.1')
  t.equal(addressOf('', '127.0.0.1', '198.51.100.7'), '127.0.0.1')
  t.equal(addressOf('', '::ffff:192.0.2.1', '198.51.100.7'), '192.0.2.1')
})

t.test('a trusted proxy reports the address, and addresses before that one do not count', async t => {
  for (const [trusted, peer] of [
    ['loopback', '127.0.0.1'], ['loopback', '::1'], ['10.0.0.0/8', '10.1.2.3'], ['10.0.0.0/8', '::ffff:10.1.2.3'],
    ['192.0.2.9, 2001:db8::/32', '2001:db8::5'], ['10.0.0.0/255.0.0.0', '10.1.2.3']
  ] as const) {
    t.equal(addressOf(trusted, peer, '198.51.100.7'), '198.51.100.7', `${trusted} ${peer}`)
    t.equal(addressOf(trusted, peer, '127.0.0.1, 203.0.113.1,198.51.100.7'), '198.51.100.7')
    t.equal(addressOf(trusted, '198.51.100.9', '203.0.113.1'), '198.51.100.9', 'an untrusted peer is not believed')
  }
  t.equal(
    addressOf('loopback, 10.0.0.0/8', '127.0.0.1', '203.0.113.1, 198.51.100.7, 10.0.0.5'), '198.51.100.7',
    'through two proxies'
  )
})

t.test('text that is not an address does not count; the result is the proxy\'s address', async t => {
  for (const forwarded of [
    '', 'unknown', 'a.example.com', '198.51.100.7:1234', '<script>', '198.51.100.7, unknown'
  ]) t.equal(addressOf('loopback', '127.0.0.1', forwarded), '127.0.0.1', forwarded)
})

t.test('over a unix socket there is no address', async t => {
  t.equal(addressOf('loopback', undefined, '198.51.100.7'), '')
})

t.test('a list with a wrong entry gives no proxies', async t => {
  t.strictSame(parseProxies('loopback , 10.0.0.0/8,2001:db8::1'), ['loopback', '10.0.0.0/8', '2001:db8::1'])
  for (const text of [
    '', ',', 'loopback,', '1', 'true', 'nginx', '10.0.0.0/0', '0.0.0.0/0', '::/0', '10.0.0.0/33', '10.0.0.0/x',
    '10.0.0.0/', '/8', '10.0.0', '*', '10.0.0.0/8/8'
  ]) t.equal(parseProxies(text), null, text)
})
