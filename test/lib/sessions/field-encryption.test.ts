import { createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import t from 'tap'
import { createSealing, parseEncryptionKeys } from '../../../lib/sessions/field-encryption.ts'

const newKey = (id: string) => ({ id, key: randomBytes(32) })
const [k1, k2] = [newKey('k1'), newKey('k2')]

t.test('what was sealed opens in its session and under its name, and nowhere else', t => {
  const sealOf = createSealing([k1])
  const own = sealOf('mcp_session:a', 'meta-a')
  for (const text of ['', '{"jwtToken":"a.b.c"}', 'ž😀'.repeat(10_000)]) {
    const sealed = own.seal('credentials', text)
    t.match(sealed, /^s1\.k1\.[\w-]+$/)
    t.equal(sealOf('mcp_session:a', 'meta-a').open('credentials', sealed), text)
    const elsewhere = [
      () => sealOf('mcp_session:b', 'meta-a').open('credentials', sealed),
      () => sealOf('mcp_session:a', 'meta-b').open('credentials', sealed),
      () => own.open('p:credentials', sealed)
    ]
    for (const open of elsewhere) t.throws(open, { name: 'SealError', message: /does not open/ })
  }
  t.not(own.seal('p:x', '1'), own.seal('p:x', '1'), 'equal texts do not look alike')
  t.end()
})

t.test('what was changed does not open, wherever it was changed', t => {
  const seal = createSealing([k1])('key', 'meta')
  const sealed = seal.seal('p:secret-name', '{"a":1}')
  const body = sealed.slice('s1.k1.'.length)
  for (let position = 0; position < body.length - 1; position++) {
    const changed = `s1.k1.${body.slice(0, position)}${body[position] === 'A' ? 'B' : 'A'}${body.slice(position + 1)}`
    t.throws(() => seal.open('p:secret-name', changed), {
      name: 'SealError',
      message: 'the field p:… does not open: it was sealed for another session or another field, or was changed'
    })
  }
  for (const cut of ['s1.k1.A', `s1.k1.${body.slice(0, 20)}`]) {
    t.throws(() => seal.open('p:x', cut), { name: 'SealError' })
  }
  t.end()
})

t.test('the first key seals, all of them open, and a missing one is named', t => {
  const old = createSealing([k1])('key', 'meta').seal('credentials', 'x')
  const rotated = createSealing([k2, k1])('key', 'meta')
  t.equal(rotated.open('credentials', old), 'x')
  t.notOk(rotated.isCurrent(old))
  t.ok(rotated.isCurrent(rotated.seal('credentials', 'x')))
  t.match(rotated.seal('credentials', 'x'), /^s1\.k2\./)
  t.throws(() => createSealing([k2])('key', 'meta').open('credentials', old), {
    message: 'the field credentials is sealed with the key k1, which MCP_ENCRYPTION_KEYS does not have'
  })
  t.throws(() => createSealing([])('key', 'meta').open('credentials', old), {
    message: 'the field credentials is sealed, and MCP_ENCRYPTION_KEYS is not set'
  })
  const impostor = { id: 'k1', key: k2.key }
  t.throws(() => createSealing([impostor])('key', 'meta').open('credentials', old), { name: 'SealError' })
  t.end()
})

t.test('what was written without a key is read, and is not current once there is one', t => {
  const plain = createSealing([])('key', 'meta')
  t.equal(plain.seal('p:x', '{"a":1}'), '{"a":1}')
  t.ok(plain.isCurrent('{"a":1}'))
  const seal = createSealing([k1])('key', 'meta')
  t.equal(seal.open('p:x', '{"a":1}'), '{"a":1}')
  t.notOk(seal.isCurrent('{"a":1}'))
  t.end()
})

t.test('the format is the one that is written down: another program opens it with AES-256-GCM and HMAC', t => {
  const sealed = createSealing([k1])('mcp_session:a', '{"version":1}').seal('p:rows', '[1,2]')
  const bytes = Buffer.from(sealed.split('.')[2] ?? '', 'base64url')
  const key = createHmac('sha256', k1.key).update('mcp-session\0mcp_session:a\0{"version":1}\x01').digest()
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12))
  decipher.setAAD(Buffer.from('p:rows')).setAuthTag(bytes.subarray(-16))
  t.equal(Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString(), '[1,2]')
  t.end()
})

t.test('keys are pairs of an id and 32 bytes in Base64, of either alphabet', t => {
  const text = (key: Buffer, encoding: 'base64' | 'base64url' = 'base64') => key.toString(encoding)
  t.strictSame(parseEncryptionKeys(`k1:${text(k1.key)}`), [k1])
  t.strictSame(parseEncryptionKeys(` k1:${text(k1.key)} ,\n k2:${text(k2.key, 'base64url')} `), [k1, k2])
  const short = randomBytes(31).toString('base64')
  const key = text(k1.key)
  const wrong = [
    '', 'k1', `:${key}`, `k1:${short}`, `k1:${key}x`, `k 1:${key}`, `k1:${key},k1:${text(k2.key)}`,
    `k1:${'?'.repeat(43)}=`, `k1:${key},`
  ]
  for (const bad of wrong) t.equal(parseEncryptionKeys(bad), null, bad.replace(/:.*/, ''))
  t.end()
})
