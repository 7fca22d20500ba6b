import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import t from 'tap'
import { valueFromFile } from '../../lib/secret-file.ts'
import { makeFolder } from '../support/folders.ts'

const read = (path: string) => valueFromFile('TOKEN', { TOKEN_FILE: path })

t.test('the value of a file is its text, without one line break at its end', async t => {
  const file = join(await makeFolder(t), 'token')
  for (const [content, value] of [
    ['canary', 'canary'],
    ['canary\n', 'canary'],
    ['canary\r\n', 'canary'],
    ['canary\n\n', 'canary\n'],
    ['canary\n\r\n', 'canary\n'],
    ['canary\r', 'canary\r'],
    [' canary \n', ' canary '],
    ['\ncanary\n', '\ncanary'],
    ['one\ntwo\n', 'one\ntwo'],
    ['\ufeffcanary\n', 'canary'],
    ['\ufeff\ufeffcanary', '\ufeffcanary'],
    ['Zürich 東京 🙂\n', 'Zürich 東京 🙂'],
    ['x'.repeat(65_536), 'x'.repeat(65_536)]
  ] as const) {
    writeFileSync(file, content)
    t.strictSame(read(file), { value }, JSON.stringify(content.slice(0, 20)))
  }
})

t.test('a file that holds no value is named, and nothing that is in it', async t => {
  const folder = await makeFolder(t)
  const path = (name: string) => join(folder, name)
  const withContent = (name: string, content: string | Buffer) => {
    writeFileSync(path(name), content)
    return path(name)
  }
  mkdirSync(path('folder'))
  execFileSync('mkfifo', [path('pipe')])
  symlinkSync(path('nowhere'), path('dangling'))
  symlinkSync(path('loop'), path('loop'))
  for (const [file, reason] of [
    [path('nowhere'), 'does not exist'],
    [path('dangling'), 'does not exist'],
    [path('loop'), 'cannot be read'],
    [join(withContent('file', 'canary'), 'below'), 'cannot be read'],
    [path('x'.repeat(300)), 'cannot be read'],
    [path('na\0me'), 'cannot be read'],
    [path('folder'), 'is a folder'],
    [path('pipe'), 'is no regular file'],
    ['/dev/null', 'is no regular file'],
    ['/dev/zero', 'is no regular file'],
    [withContent('nothing', ''), 'is empty'],
    [withContent('line', '\n'), 'is empty'],
    [withContent('blanks', ' \t\r\n \n'), 'is empty'],
    [withContent('mark', '\ufeff'), 'is empty'],
    [withContent('large', 'canary'.repeat(11_000)), 'is larger than 64 KiB'],
    [withContent('byte-more', 'x'.repeat(65_537)), 'is larger than 64 KiB'],
    [withContent('nul', 'canary\0'), 'holds a NUL character'],
    [withContent('utf-16', Buffer.from('\ufeffcanary', 'utf16le')), 'holds a NUL character'],
    [withContent('latin1', Buffer.from('canary ü', 'latin1')), 'is not UTF-8']
  ] as const) {
    t.strictSame(
      read(file),
      { fault: `TOKEN_FILE must be a text file that holds the value, but ${JSON.stringify(file)} ${reason}` }
    )
  }
})

t.test('a file of which this user may read nothing is named', async t => {
  const folder = await makeFolder(t)
  const file = join(folder, 'token')
  writeFileSync(file, 'canary')
  chmodSync(file, 0)
  chmodSync(folder, 0o755)
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(65_534) // root reads every file
  const found = read(file)
  if (isRoot) process.seteuid?.(0)
  t.match(found, { fault: /cannot be read$/ })
})

t.test('a file may be named from the working directory, by a link, or in /proc, where files have no size', async t => {
  const folder = await makeFolder(t)
  const file = join(folder, 'token')
  writeFileSync(file, 'canary\n')
  symlinkSync(file, join(folder, 'link'))
  t.strictSame(read(relative(process.cwd(), file)), { value: 'canary' })
  t.strictSame(read(join(folder, 'link')), { value: 'canary' })
  t.strictSame(read(` ${file} `), { value: 'canary' })
  if (process.platform === 'linux') t.match(read('/proc/self/limits'), { value: /Max open files/ })
})

t.test('a path that is not set, or empty, is none', async t => {
  t.equal(valueFromFile('TOKEN', {}), null)
  for (const path of ['', ' ', '\t\n', undefined]) t.equal(valueFromFile('TOKEN', { TOKEN_FILE: path }), null)
})

t.test('what somebody wrote in place of the path stays on one line', async t => {
  const found = read('one\ntwo')
  t.ok(found !== null && 'fault' in found && !found.fault.includes('\n'))
})
