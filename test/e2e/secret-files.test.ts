import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { heldBy } from '../support/canaries.ts'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { makeFolder } from '../support/folders.ts'
import { fixture } from '../support/paths.ts'
import { startRedis } from '../support/redis.ts'
import { post } from '../support/requests.ts'
import { serversFile, variable } from '../support/servers-file.ts'
import { build, type Environment, spawnService, startService } from '../support/service.ts'

t.setTimeout(120_000)

/** Writes each secret into a file, and gives the variables that name the files. */
async function inFiles (t: Test, secrets: Record<string, string>): Promise<Environment> {
  const folder = await makeFolder(t)
  return Object.fromEntries(await Promise.all(Object.entries(secrets).map(async ([name, value]) => {
    await writeFile(join(folder, name), `${value}\n`, { mode: 0o400 })
    return [`${name}_FILE`, join(folder, name)]
  })))
}

t.test('secrets in files are used, and are in no environment, no answer and no log line', async t => {
  const apiKey = 'mcpk_canary-of-billing'
  const secrets = {
    REDIS_PASSWORD: 'canary-redis-password-4711',
    MCP_ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
    MCP_CLIENT_API_KEYS: `billing:${createHash('sha256').update(apiKey).digest('hex')}`,
    UPSTREAM_TOKEN: 'canary-upstream-token-0815'
  }
  const redis = await startRedis(t, ['--requirepass', secrets.REDIS_PASSWORD])
  const service = await startService(t, {
    REDIS_URL: redis.url,
    MCP_SESSION_KEY_PREFIX: 'files',
    MCP_LOG_LEVEL: 'trace',
    MCP_SERVERS_FILE: await serversFile(t, {
      tells: {
        command: process.execPath,
        args: ['-e', 'console.error("the token is", process.env.SAID); process.exit(1)'],
        env: { SAID: variable('UPSTREAM_TOKEN') }
      }
    }),
    ...await inFiles(t, secrets)
  })
  const session = { session_id: 'ours', apiUrl, jwtToken }
  t.equal((await post(`${service.url}/init`, session)).status, 401, 'the API keys are those of the file')
  const opened = await post(`${service.url}/init`, session, { 'x-api-key': apiKey })
  t.equal(opened.status, 200)
  const listed = await post(`${service.url}/tools`, { session_id: 'ours' }, { 'x-api-key': apiKey })
  t.match(JSON.stringify(listed.body), /the token is \[hidden\]/, 'a server gets the value of its file')

  const client = new Redis({ path: redis.socket, password: secrets.REDIS_PASSWORD })
  t.teardown(() => client.disconnect())
  t.match(await client.hget('files:billing:ours', 'credentials'), /^s1\.k1\./, 'and the key of the file seals')

  const environment = await readFile(`/proc/${service.pid}/environ`, 'latin1')
  t.match(environment, /REDIS_PASSWORD_FILE=/)
  for (const text of [environment, service.output(), JSON.stringify([opened.body, listed.body])]) {
    t.strictSame(heldBy(text, secrets), [])
  }
})

t.test('the whole address of Redis may be in a file', async t => {
  const redis = await startRedis(t)
  const app = await build(t, { REDIS_URL: undefined, ...await inFiles(t, { REDIS_URL: redis.url }) })
  t.equal((await app.inject('/readyz')).statusCode, 200)
  t.equal(app.config.redis.url, redis.url)
})

const canary = 'canary-that-nobody-may-read'

t.test('a file that cannot be used stops the start with one line, which repeats nothing of it', async t => {
  const files = await inFiles(t, { REDIS_URL: canary, MCP_ENCRYPTION_KEYS: canary, MCP_CLIENT_API_KEYS: canary })
  const folder = await makeFolder(t)
  await writeFile(join(folder, 'empty'), '\n')
  await writeFile(join(folder, 'nul'), `${canary}\0`)
  const refusals: Array<[Environment, RegExp]> = [
    [{ REDIS_PASSWORD_FILE: join(folder, 'nowhere') }, /^REDIS_PASSWORD_FILE must .*"\/.*\/nowhere" does not exist$/],
    [{ REDIS_SENTINEL_PASSWORD_FILE: folder }, /^REDIS_SENTINEL_PASSWORD_FILE must be .*" is a folder$/],
    [{ MCP_CLIENT_API_KEYS_FILE: join(folder, 'empty') }, /^MCP_CLIENT_API_KEYS_FILE must .*empty" is empty$/],
    [{ MCP_ENCRYPTION_KEYS_FILE: join(folder, 'nul') }, /^MCP_ENCRYPTION_KEYS_FILE must .* holds a NUL character$/],
    [
      { MCP_ENCRYPTION_KEYS_FILE: files.MCP_ENCRYPTION_KEYS_FILE, MCP_ENCRYPTION_KEYS: canary },
      /^MCP_ENCRYPTION_KEYS and MCP_ENCRYPTION_KEYS_FILE are both set: keep the one that is meant$/
    ],
    // What is in a file is checked like what is in a variable.
    [{ REDIS_URL: undefined, REDIS_URL_FILE: files.REDIS_URL_FILE }, /^REDIS_URL must be a redis:.*, but is a value that is not shown$/],
    [{ MCP_ENCRYPTION_KEYS_FILE: files.MCP_ENCRYPTION_KEYS_FILE }, /^MCP_ENCRYPTION_KEYS must be .* not shown$/],
    [{ MCP_CLIENT_API_KEYS_FILE: files.MCP_CLIENT_API_KEYS_FILE }, /^MCP_CLIENT_API_KEYS must be .* not shown$/]
  ]
  for (const [env, line] of refusals) {
    const start = build(t, { MCP_SERVER_SCRIPT: fixture('tiny-server.mjs'), ...env })
    const error = await start.then(() => new Error('it started'), (error: Error) => error)
    t.match(error, { code: 'MCPC_ERR_CONFIG', message: line })
    t.notMatch(error.message, new RegExp(`${canary}|\n`))
  }
})

t.test('npm start says so, too', async t => {
  const { exited, output } = await spawnService(t, {
    MCP_SERVER_SCRIPT: fixture('tiny-server.mjs'), MCP_SKIP_VALIDATION: 'true', REDIS_PASSWORD_FILE: 'nowhere'
  })
  t.strictSame(await exited, { code: 1, signal: null })
  t.match(output(), /^REDIS_PASSWORD_FILE must be a text file .*"\/.*\/nowhere" does not exist\n$/)
})
