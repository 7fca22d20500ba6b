import { createHash, randomUUID } from 'node:crypto'
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

t.test('named arguments arrive in the order that the definition says, beside the keys', async t => {
  const folder = t.testdir({ 'echo.lua': 'return {KEYS[1], #KEYS, unpack(ARGV)}' })
  const echo = defineScript<{ last: number, first: string }, unknown[]>(
    await redisClient(t), pathToFileURL(join(folder, 'echo.lua')), ({ first, last }) => [first, last]
  )
  t.strictSame(await echo('some key', { last: 2, first: 'a' }), ['some key', 1, 'a', '2'])
  t.strictSame(await echo(['{a}1', '{a}2'], { last: 2, first: 'a' }), ['{a}1', 2, 'a', '2'])
})

t.test('a server that does not know the script, or has forgotten it, gets its text, once', async t => {
  const folder = t.testdir({ 'count.lua': 'return redis.call("INCRBY", KEYS[1], ARGV[1])' })
  const client = await redisClient(t)
  const key = `lua-test:${randomUUID()}`
  const sent: string[] = []
  t.teardown(() => client.del(key))
  const send = client.sendCommand.bind(client)
  client.sendCommand = command => {
    sent.push(command.name)
    return send(command)
  }
  const count = defineScript<{ by: number }, number>(
    client, pathToFileURL(join(folder, 'count.lua')), ({ by }) => [by]
  )
  t.equal(await count(key, { by: 1 }), 1)
  t.equal(await count(key, { by: 2 }), 3)
  await client.script('FLUSH')
  t.equal(await count(key, { by: 3 }), 6, 'it is done once')
  t.strictSame(sent.slice(-4), ['evalsha', 'script', 'evalsha', 'eval'])
  t.strictSame(await Promise.all([count(key, { by: 1 }), count(key, { by: 1 })]), [7, 8])
})

t.test('the failure of a script is passed on, and it is not run again', async t => {
  const folder = t.testdir({
    'fail.lua': 'redis.call("INCR", KEYS[1]) return redis.error_reply("ERR NOSCRIPT is in this text")'
  })
  const client = await redisClient(t)
  const key = `lua-test:${randomUUID()}`
  t.teardown(() => client.del(key))
  const fail = defineScript<object, number>(client, pathToFileURL(join(folder, 'fail.lua')), () => [])
  await t.rejects(fail(key, {}), /NOSCRIPT is in this text/)
  t.equal(await client.get(key), '1')
})

t.test('a script that the server does not know yet is not overtaken by what is sent after it', async t => {
  const name = randomUUID() // no server knows a script that has it in its text
  const folder = t.testdir({ 'push.lua': `return redis.call("RPUSH", KEYS[1], "${name}")` })
  const client = await redisClient(t)
  const key = `lua-test:${randomUUID()}`
  t.teardown(() => client.del(key))
  const push = defineScript<object, number>(client, pathToFileURL(join(folder, 'push.lua')), () => [])
  t.strictSame(await Promise.all([push(key, {}), client.rpush(key, 'later'), push(key, {})]), [1, 2, 3])
  t.strictSame(await client.lrange(key, 0, -1), [name, 'later', name])
})
