import {
  chmodSync, chownSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync, utimesSync, writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { prepareCompileCache, trimCompileCache } from '../../../../lib/mcp/processes/compile-cache.ts'
import { makeFolder } from '../../../support/folders.ts'

t.test('the folder is made for the service\'s user alone, and taken as it is when it is there', async t => {
  const folder = join(await makeFolder(t), 'cache')
  prepareCompileCache(folder)
  t.equal(statSync(folder).mode & 0o777, 0o700)

  chmodSync(folder, 0o755)
  writeFileSync(join(folder, 'kept'), '')
  prepareCompileCache(folder)
  t.equal(statSync(folder).mode & 0o777, 0o755, 'others may read')
  t.strictSame(readdirSync(folder), ['kept'])
})

t.test('a folder of compiled code that is not the service\'s alone is refused', async t => {
  const within = await makeFolder(t)
  const refused = (folder: string, fault: string) => t.throws(() => prepareCompileCache(folder), {
    code: 'MCPC_ERR_CONFIG',
    message: 'MCP_NODE_COMPILE_CACHE must name a folder that nobody but the service\'s user may write to, ' +
      `but ${JSON.stringify(folder)} ${fault}`
  })
  for (const mode of [0o777, 0o775, 0o702, 0o1777]) {
    const folder = join(within, mode.toString(8))
    mkdirSync(folder)
    chmodSync(folder, mode)
    refused(folder, 'may be written to by others: take it from them (chmod go-w)')
  }
  const link = join(within, 'link')
  symlinkSync(await makeFolder(t), link)
  refused(link, 'is a link')
  const file = join(within, 'file')
  writeFileSync(file, '')
  refused(file, 'is no folder')
  refused(join(within, 'none', 'cache'), 'cannot be made (ENOENT)')
  refused('/proc/mcp-compile-cache', 'cannot be made (ENOENT)')

  // Only root can give a folder away. Others find one that is root's.
  const own = process.geteuid?.() ?? 0
  const foreign = own === 0 ? join(within, 'foreign') : '/'
  if (own === 0) {
    mkdirSync(foreign)
    chownSync(foreign, 65_534, 65_534)
  }
  refused(foreign, `belongs to user ${own === 0 ? 65_534 : 0}, and the service is user ${own}`)
})

/** A folder with files of 100 bytes, of which the first was written longest ago. */
async function filledFolder (t: Parameters<typeof makeFolder>[0], names: readonly string[]): Promise<string> {
  const folder = await makeFolder(t)
  for (const [index, name] of names.entries()) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), 'x'.repeat(100))
    utimesSync(join(folder, name), 1_000 + index, 1_000 + index)
  }
  return folder
}

t.test('beyond the bound the oldest files go, until half of it is left, and folders that are empty then', async t => {
  const folder = await filledFolder(t, ['a/v22/1', 'b/v22/2', 'a/v24/3', 'b/v22/4', 'c/5'])
  const files = () => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
  const before = files()
  t.equal(await trimCompileCache(folder, 500), 0)
  t.strictSame(files(), before, 'what fits stays')

  t.equal(await trimCompileCache(folder, 499), 300)
  t.strictSame(files(), ['b', 'b/v22', 'b/v22/4', 'c', 'c/5'])
})

t.test('links are removed themselves, and what they lead to stays; two workers may look at once', async t => {
  const elsewhere = await filledFolder(t, ['precious'])
  const folder = await filledFolder(t, ['a/1', 'a/2', 'a/3', 'a/4'])
  symlinkSync(elsewhere, join(folder, 'folder'))
  symlinkSync(join(elsewhere, 'precious'), join(folder, 'a', 'file'))
  await Promise.all([trimCompileCache(folder, 0), trimCompileCache(folder, 0)])
  t.strictSame(readdirSync(folder), [])
  t.ok(existsSync(join(elsewhere, 'precious')))
})

t.test('a folder that is gone is an error, for its size is not known', async t => {
  await t.rejects(trimCompileCache(join(await makeFolder(t), 'gone'), 0), { code: 'ENOENT' })
})
