import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readableEnvFiles } from '../../../../lib/mcp/servers-file/env-files.ts'
import { resolveScript } from '../../../../lib/mcp/servers-file/script-server.ts'
import type { StdioSpec } from '../../../../lib/mcp/servers-file/server-spec.ts'
import { readServersFile } from '../../../../lib/mcp/servers-file/servers-file.ts'
import { makeFolder } from '../../../support/folders.ts'
import { fixture } from '../../../support/paths.ts'
import { policyDefaults, serversFile } from '../../../support/servers-file.ts'

const script = resolveScript(fixture('tiny-server.mjs'), { host: {}, validation: 'off' })
const serverIn = (cwd: string, fields: Partial<StdioSpec> = {}): StdioSpec => ({ ...script, name: 'weather', cwd, ...fields })

t.test('a .env file in the folder of a server, or of its script, is found', async t => {
  const [folder, other] = [await makeFolder(t), await makeFolder(t)]
  t.strictSame(readableEnvFiles([serverIn(folder)], other), [])
  writeFileSync(join(folder, '.env'), 'REDIS_PASSWORD=canary')
  const found = { server: 'weather', path: join(folder, '.env') }
  t.strictSame(readableEnvFiles([serverIn(folder)]), [found])
  t.strictSame(readableEnvFiles([serverIn(`${folder}/`)]), [found])
  t.strictSame(readableEnvFiles([serverIn(folder)], folder), [found], 'once where both are one folder')
  t.strictSame(readableEnvFiles([serverIn(other)], folder), [found])
  t.strictSame(readableEnvFiles([serverIn(other)]), [])
  symlinkSync(join(folder, '.env'), join(other, '.env'))
  t.strictSame(readableEnvFiles([serverIn(other, { name: 'linked' }), serverIn(folder)]), [
    { server: 'linked', path: join(other, '.env') }, found
  ])
})

t.test('what is no file that anybody could read is not', async t => {
  const folder = await makeFolder(t)
  symlinkSync(join(folder, 'nowhere'), join(folder, '.env'))
  t.strictSame(readableEnvFiles([serverIn(folder)]), [], 'a link that leads nowhere')
  const another = await makeFolder(t)
  mkdirSync(join(another, '.env'))
  t.strictSame(readableEnvFiles([serverIn(another)]), [], 'a folder, as Python\'s environments are')
  writeFileSync(join(another, '.env.example'), '')
  t.strictSame(readableEnvFiles([serverIn(another)]), [])
})

t.test('a server over HTTP has no folder here', async t => {
  const file = await serversFile(t, { remote: { url: 'https://mcp.example.com' } })
  writeFileSync(join(file, '..', '.env'), 'REDIS_PASSWORD=canary')
  t.strictSame(readableEnvFiles(readServersFile(file, { host: {}, sensitiveParams: [], policyDefaults })), [])
})

t.test('a file that a server\'s user may not read is passed over', async t => {
  const folder = await makeFolder(t)
  const path = join(folder, '.env')
  writeFileSync(path, 'REDIS_PASSWORD=canary')
  const isFoundBy = (user?: StdioSpec['user']) => readableEnvFiles([serverIn(folder, user && { user })]).length === 1
  const own = process.getuid?.() ?? 0
  const another = { uid: own + 1 }
  const modes = [[0o600, false], [0o640, true], [0o604, true], [0o620, false], [0o644, true]] as const
  for (const [mode, isReadable] of modes) {
    chmodSync(path, mode)
    t.equal(isFoundBy(another), isReadable, mode.toString(8))
    t.ok(isFoundBy(), 'the service\'s own user')
    t.ok(isFoundBy({ uid: own }))
  }
  chmodSync(path, 0o600)
  t.ok(isFoundBy({ uid: 0 }))
  if (own !== 0) return t.notOk(isFoundBy(another))
  chownSync(path, another.uid, another.uid)
  t.ok(isFoundBy(another), 'a file of its own')
})
