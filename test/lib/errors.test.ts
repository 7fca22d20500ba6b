import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyError } from '@fastify/error'
import t from 'tap'
import * as errors from '../../lib/errors.ts'

const markdown = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'errors.md'), 'utf8')

const { isServiceError, statusOfCodes, ...classes } = errors

/** One of each kind, without the values of its sentence. */
const catalogue = Object.values(classes).map(Constructor => new (Constructor as new () => FastifyError)())
const startCodes = ['MCPC_ERR_CONFIG', 'MCPC_ERR_STORE_START']

interface Row { code: string, rest: string[] }
const rows: Row[] = [...markdown.matchAll(/^\| `(MCPC_ERR_\w+)` \| (.+) \|$/gm)]
  .map(([, code = '', rest = '']) => ({ code, rest: rest.split(' | ') }))
const byCode = (a: { code: string }, b: { code: string }) => a.code < b.code ? -1 : 1

t.test('docs/errors.md lists exactly the failures of answers, with status and retryable', async t => {
  const documented = rows.filter(({ rest }) => rest.length === 4)
    .map(({ code, rest: [status, retryable] }) => ({ code, status, retryable }))
  const defined = catalogue.filter(({ code }) => !startCodes.includes(code))
    .map(({ code, statusCode, retryable = false }) => ({
      code, status: String(statusCode), retryable: retryable ? 'yes' : 'no'
    }))

  t.strictSame(documented.sort(byCode), defined.sort(byCode))
})

t.test('docs/errors.md lists exactly the failures of a start in a table of their own', async t => {
  t.strictSame(rows.filter(({ rest }) => rest.length === 2).map(({ code }) => code), startCodes)
})

t.test('every documented failure has a cause and a remedy', async t => {
  for (const { code, rest } of rows) for (const sentence of rest.slice(-2)) t.match(sentence, /\w{3}/, code)
})

t.test('the status of each code is known', t => {
  t.strictSame(statusOfCodes, new Map(catalogue.map(({ code, statusCode }) => [code, statusCode])))
  t.end()
})

t.test('every code is unique', async t => {
  const codes = catalogue.map(({ code }) => code)
  t.equal(new Set(codes).size, codes.length, 'in the catalogue')
  t.equal(new Set(rows.map(({ code }) => code)).size, rows.length, 'in the documentation')
})

t.test('a failure that may have acted is not retryable', async t => {
  const retryable = catalogue.filter(error => error.retryable).map(({ code }) => code)
  t.notOk(retryable.includes('MCPC_ERR_MCP_CALL') || retryable.includes('MCPC_ERR_MCP_TIMEOUT'))
})

t.test('the cause of a failure is kept for the log, and is not in its sentence', async t => {
  const error = new errors.StoreUnavailableError({ cause: new Error('canary') })
  t.match(error.cause, { message: 'canary' })
  t.notMatch(error.message, /canary/)
})

t.test('an error of the catalogue is recognized, and no other error is', async t => {
  t.ok(isServiceError(new errors.ClosingError()))
  for (const other of [
    new Error('canary'), Object.assign(new Error(), { code: 'ECONNRESET' }), { code: 'MCPC_ERR_CLOSING' }, null
  ]) {
    t.notOk(isServiceError(other))
  }
})

t.test('the sentences that clients know are kept', async t => {
  t.equal(
    new errors.SessionNotFoundError('demo-1').message, 'Session demo-1 not found or expired. Please run /init first.'
  )
  t.equal(new errors.InvalidParamsError().message, 'params must be a dictionary')
})
