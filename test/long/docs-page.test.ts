import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { readFile } from 'node:fs/promises'
import type { AxeResults } from 'axe-core'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { installDebianPackages } from '../../scripts/debian.mjs'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { makeFolder } from '../support/folders.ts'
import { openSession } from '../support/requests.ts'
import { listen } from '../support/service.ts'

t.setTimeout(170_000)

const isThere = (path: string) => existsSync(path)
const paths = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
if (!paths.some(isThere)) installDebianPackages(['chromium'], 'A test opens the page in a browser, and there is none.')
const binary = paths.find(isThere)

/** Debian's browser, which asks nobody but the service. */
async function openBrowser (): Promise<Browser> {
  if (binary === undefined) throw new Error('there is no Chromium: install it (apt-get install chromium)')
  const folder = await makeFolder(t)
  const browser = await chromium.launch({
    executablePath: binary,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', `--crash-dumps-dir=${folder}`
    ]
  })
  t.teardown(() => browser.close())
  return browser
}

const browser = await openBrowser()

interface Visit { page: Page, faults: string[], hosts: Set<string>, headers: Array<Record<string, string>> }

/** The page /docs of a service, and what the browser complained of, and whom it asked. */
async function visit (url: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext(options)
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  const faults: string[] = []
  const hosts = new Set<string>()
  const headers: Array<Record<string, string>> = []
  page.on('pageerror', error => faults.push(error.message))
  page.on('console', message => {
    // The browser logs each answer of 400 and above.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) faults.push(message.text())
  })
  page.on('request', request => {
    const { host, protocol } = new URL(request.url())
    if (protocol !== 'data:') hosts.add(host)
    headers.push(request.headers())
  })
  await page.goto(url)
  return { page, faults, hosts, headers }
}

/** Opens an operation, fills its body, and gives the answer that the page shows. */
async function tryOut (page: Page, path: string, body: object): Promise<{ status: string, body: string }> {
  const operation = page.locator('.opblock-post', { has: page.locator(`[data-path="${path}"]`) })
  await operation.locator('.opblock-summary-control').click()
  await operation.getByRole('button', { name: 'Try it out' }).click()
  await operation.locator('textarea.body-param__text').fill(JSON.stringify(body))
  await operation.getByRole('button', { name: 'Execute' }).click()
  const answer = operation.locator('.live-responses-table .response')
  await answer.waitFor()
  return {
    status: (await answer.locator('.response-col_status').first().innerText()).trim(),
    body: await answer.locator('.highlight-code code').first().innerText()
  }
}

t.test('a visitor opens a session on the page, calls a tool and reads its result', async t => {
  const service = await listen(t)
  const { page, faults, hosts } = await visit(`${service.url}/docs`)
  await page.getByRole('status').getByText('The description is loaded.').waitFor()
  t.equal(await page.getByLabel('Session id').count(), 1, 'the session is asked for once')
  t.equal(await page.getByText('x-session-id', { exact: true }).count(), 0)

  const opened = await tryOut(page, '/sessions', { apiUrl, jwtToken })
  t.match(opened, { status: '201', body: /session_id/ })
  const id = await page.getByLabel('Session id').inputValue()
  t.match(opened.body, id, 'the page goes on in the session that was opened')
  const called = await tryOut(page, '/call-tool', { tool: 'echo', params: { text: 'hello from a browser' } })
  t.match(called, { status: '200', body: /"text": "hello from a browser"/ })
  t.strictSame(faults, [])
  t.strictSame([...hosts], [new URL(service.url).host], 'nobody else is asked')
})

t.test('behind API keys the page loads, asks for the key, and sends it', async t => {
  const key = 'mcpk_of-the-visitor'
  const service = await listen(t, {
    MCP_CLIENT_API_KEYS: `a:${createHash('sha256').update(key).digest('hex')}`,
    MCP_SESSION_TOKENS: 'required',
    MCP_BASE_PATH: '/mcp'
  })
  const { page, faults, headers } = await visit(`${service.url}/mcp/docs/`)
  await page.getByRole('status').getByText('needs a valid API key').waitFor()
  t.equal(await page.locator('.opblock').count(), 0, 'nothing is described without a key')
  await page.getByLabel('API key').fill(key)
  await page.getByRole('button', { name: 'Use', exact: true }).click()
  await page.getByRole('status').getByText('The description is loaded.').waitFor()
  t.match(await tryOut(page, '/sessions', { apiUrl, jwtToken }), { status: '201' })
  t.match(await tryOut(page, '/call-tool', { tool: 'echo', params: { text: 'hello' } }), { status: '200', body: /hello/ })
  const asked = headers.filter(sent => sent['x-api-key'] !== undefined)
  t.ok(asked.length >= 4)
  t.match(asked.at(-1), { 'x-api-key': key, authorization: /^Bearer ./, 'x-session-id': /./ })
  t.strictSame(faults, [])
})

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Looks for what keeps people from using the page as it is now. */
async function checkPage (t: Test, page: Page, what: string): Promise<void> {
  // Evaluated, not put into the page: the page's own policy stands.
  await page.evaluate(axe)
  const { violations } = await page.evaluate('axe.run()') as AxeResults
  const found = violations.flatMap(({ id, impact, nodes }) =>
    nodes.map(({ html, target }) => ({ id, impact, html: html.slice(0, 160), target: String(target) })))
  const grave = found.filter(({ impact }) => impact === 'serious' || impact === 'critical')
  t.strictSame(grave.map(({ id, html, target }) => `${id}: ${html} at ${target}`), [], what)
  for (const id of new Set(found.map(({ id }) => id))) t.comment(`${what}: ${id}`)
}

t.test('the page passes an accessibility check: closed, open, tried out, and refused', async t => {
  const service = await listen(t)
  const session = await openSession(service)
  const { page } = await visit(`${service.url}/docs`)
  const check = (what: string) => checkPage(t, page, what)
  await page.getByRole('status').getByText('The description is loaded.').waitFor()
  await check('closed')
  await page.getByLabel('Session id').fill(session)
  await page.getByRole('button', { name: 'Use', exact: true }).click()
  await tryOut(page, '/call-tool', { tool: 'echo', params: { text: 'hello' } })
  await tryOut(page, '/tools', { session_id: 'none' })
  await check('tried out')

  // What opens within an operation: the schemas of its body and of an answer, and the other examples.
  const operation = page.locator('.opblock-post', { has: page.locator('[data-path="/call-tool"]') })
  await operation.getByRole('button', { name: 'Cancel' }).click()
  for (const tab of await operation.getByRole('tab', { name: 'Schema' }).all()) await tab.click()
  await page.evaluate('document.querySelector(".json-schema-2020-12-expand-deep-button")?.click()')
  await check('schemas')
  // An operation that has parameters, and one without a body.
  for (const path of ['/calls/{id}', '/session', '/tools']) {
    await page.locator('.opblock-get', { has: page.locator(`[data-path="${path}"]`) }).locator('.opblock-summary-control').click()
  }
  await page.locator('.opblock-get', { has: page.locator('[data-path="/calls/{id}"]') })
    .getByRole('button', { name: 'Try it out' }).click()
  await check('parameters')
  t.equal(await page.getByRole('dialog').count(), 0, 'there is no dialog: credentials are asked for above')
})

t.test('a visitor who prefers dark colours can read the page, too', async t => {
  const service = await listen(t)
  const { page } = await visit(`${service.url}/docs`, { colorScheme: 'dark' })
  await page.getByRole('status').getByText('The description is loaded.').waitFor()
  await page.locator('.opblock-post .opblock-summary-control').first().click()
  await checkPage(t, page, 'dark')
})
