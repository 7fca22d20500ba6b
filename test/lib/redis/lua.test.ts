import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { defineScript, readScript } from '../../../lib/redis/lua.ts'
import { redisClient } from '../../support/redis.ts'

const root = join(import.meta.dirname, '..', '..', '..')
const files = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
const luaFiles = files.filter(file => file.endsWith('.lua')).sort()
const scripts = luaFiles.filter(file => !file.includes('includes'))

t.test('Redis takes every script', async t => {
  const client = await redisClient(t)
  t.ok(scripts.length >= 14)
  for (const file of scripts) {
    const text = readScript(pathToFileURL(join(root, 'lib', file)))
    t.equal(await client.script('LOAD', text), createHash('sha1').update(text).digest('hex'), file)
    t.notMatch(text, /@include/, `${file}: nothing is left to include`)
  }
})

t.test('every script says its keys, its arguments and what it returns, and uses them by name only', async t => {
  for (const file of scripts) {
    const text = readFileSync(join(root, 'lib', file), 'utf8')
    const [, header = '', body = ''] = /^--\[\[\n(.*?)\n\]\]\n(.*)$/s.exec(text) ?? []
    t.match(header, /^ {2}KEYS\[1\] .*^ {2}ARGV\[1.* .*^ {2}Returns\b/ms, file)
    const locals = body.split('\n\n', 1)[0] ?? ''
    t.notMatch(body.slice(locals.length), /KEYS\[|ARGV/, `${file}: the locals at the top are what the rest uses`)
  }
})

t.test('the built service has the scripts of the sources', async t => {
  for (const file of luaFiles) {
    t.equal(readFileSync(join(root, 'dist', 'lib', file), 'utf8'), readFileSync(join(root, 'lib', file), 'utf8'), file)
  }
})

t.test('a part is included once, wherever it is named, and a missing one is an error', async t => {
  const folder = t.testdir({
    'script.lua': '--- @include "parts/outer"\n--- @include "parts/inner"\nreturn outer()\n',
    'broken.lua': '--- @include "parts/missing"\n',
    parts: {
      'outer.lua': '--- @include "inner"\nlocal function outer () return inner() .. "!" end\n',
      'inner.lua': 'local function inner () return "text $& $1" end\n'
    }
  })
  const file = (name: string) => pathToFileURL(join(folder, name))
  const text = readScript(file('script.lua'))
  t.equal(text.match(/function inner/g)?.length, 1)
  const run = defineScript<object, string>(await redisClient(t), file('script.lua'), () => [])
  t.equal(await run('key', {}), 'text $& $1!')
  t.throws(() => readScript(file('broken.lua')), { code: 'ENOENT' })
})

t.test('named arguments arrive in the order that the definition says, beside the one key', async t => {
  const folder = t.testdir({ 'echo.lua': 'return {KEYS[1], #KEYS, unpack(ARGV)}' })
  const echo = defineScript<{ last: number, first: string }, unknown[]>(
    await redisClient(t), pathToFileURL(join(folder, 'echo.lua')), ({ first, last }) => [first, last]
  )
  t.strictSame(await echo('some key', { last: 2, first: 'a' }), ['some key', 1, 'a', '2'])
  const ofTwo = t.testdir({ 'two.lua': 'return {KEYS[1], KEYS[2], unpack(ARGV)}' })
  const two = defineScript<{ all: string[] }, unknown[], readonly string[]>(
    await redisClient(t), pathToFileURL(join(ofTwo, 'two.lua')), ({ all }) => all, 2
  )
  t.strictSame(await two(['{a}1', '{a}2'], { all: ['x', 'y'] }), ['{a}1', '{a}2', 'x', 'y'])
})
