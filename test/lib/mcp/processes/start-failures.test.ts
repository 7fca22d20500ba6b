import t, { type Test } from 'tap'
import { createProcessClient } from '../../../../lib/mcp/processes/process-client.ts'
import { serverBounds } from '../../../support/bounds.ts'
import { cases } from '../../../support/cases.ts'

const secret = 'not-a-real.canary-token.signature'

/** How the start of a shell's script fails. */
async function failureOf (t: Test, script: string, command = '/bin/sh'): Promise<Error & { retryable?: boolean }> {
  const client = createProcessClient({
    name: 'up', command, args: ['-c', script], env: { PATH: process.env.PATH ?? '' }, cwd: process.cwd()
  }, { startTimeoutMs: 20_000, stopStepMs: 200, maxMessageBytes: 1_000_000, bounds: serverBounds })
  client.assign({ secrets: [secret] })
  t.teardown(() => client.close())
  const error = await client.open(new AbortController().signal).then(() => null, (error: Error) => error)
  if (error === null) throw new Error('it started')
  return error
}

const says = (line: string, then = 'exit 1') => `cat <<'END' >&2\n${line}\nEND\n${then}`

t.test('a start that would fail again is not retryable', async t => {
  for (const script of cases([
    says("Error: Cannot find module '/srv/server.js'"), says('usage: server [--timeout SECONDS] [--rate-limit N] --key K', 'exit 2'),
    says('GITHUB_TOKEN is not set. Set it and try again.'), says("ModuleNotFoundError: No module named 'mcp'"),
    says('npm error code E404\nnpm error 404 Not Found - GET https://packages.example.com/no-such-package'),
    says('sh: 1: server: not found', 'exit 127'), says('Permission denied', 'exit 126'), 'exit 0', 'exit 255', 'exit 3',
    says('Invalid API key')
  ], 3)) t.equal((await failureOf(t, script)).retryable, false, script)
  t.match(await failureOf(t, '', '/nowhere/server'), { code: 'MCPC_ERR_MCP_START', retryable: false })
})

t.test('a start that may go well another time is retryable', async t => {
  for (const script of cases([
    'kill -9 $$', 'kill -TERM $$', 'kill -ABRT $$', 'exit 137', 'exit 75',
    says('npm error code ETIMEDOUT\nnpm error network request failed'), says('getaddrinfo ENOTFOUND packages.example.com'),
    says('npm ERR! code ECONNRESET'), says('npm error 429 Too Many Requests'), says('sh: 0: Cannot fork: EAGAIN'),
    says('fork: Resource temporarily unavailable'), says('Temporary failure in name resolution'),
    says('Error: listen EADDRINUSE: address already in use :::3000'), says('sqlite3.OperationalError: database is locked'),
    says('ConnectionRefusedError: [Errno 111] Connection refused'), says('dial tcp: i/o timeout exceeded')
  ], 4)) t.equal((await failureOf(t, script)).retryable, true, script)
})

t.test('the first and the last lines of stderr are quoted, bounded and masked', async t => {
  const lines = (count: number, line = 'at some.frame (some/file.js:1:1)') => Array.from({ length: count }, () => line).join('\n')
  for (const middle of [lines(40), lines(300), lines(40, 'x'.repeat(500)), `${lines(9, 'y'.repeat(90))}\n${lines(9)}`]) {
    const { message } = await failureOf(t, says(`Error: the first line\n${middle}\nwith ${secret}\nthe last line`))
    t.match(message, /it said: Error: the first line\n/)
    t.match(message, /\n…\n/)
    t.match(message, /\nwith \[hidden\]\nthe last line$/)
    t.equal(message.match(/…/g)?.length, 1)
    t.ok(message.length < 1_100)
  }
  const { message } = await failureOf(t, says(`one\ntwo ${secret}\nthree`))
  t.match(message, /it said: one\ntwo \[hidden\]\nthree$/, 'what is short is quoted whole')
  const { message: long } = await failureOf(t, says(`begin ${'x'.repeat(3_000)} end`))
  t.match(long, /it said: begin x+\n…\nx+ end$/)
})
