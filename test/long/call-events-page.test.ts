import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import t from 'tap'
import { installDebianPackages } from '../../scripts/debian.mjs'
import { makeFolder } from '../support/folders.ts'
import { serve } from '../support/http-server.ts'
import { fixture } from '../support/paths.ts'
import { openSession } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { listen } from '../support/service.ts'

t.setTimeout(170_000)

const paths = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const findBrowser = () => paths.find(path => existsSync(path))
if (findBrowser() === undefined) installDebianPackages(['chromium'], 'A test follows a call in a browser, and there is none.')

/** Runs in the page. Reads the stream as docs/api.md shows it, and after the first event once more from there. */
async function followInPage ({ url, session }: { url: string, session: string }) {
  const headers = { 'x-session-id': session }
  const accepted = await fetch(`${url}/call-tool`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'respond-async', 'idempotency-key': 'of-a-page' },
    body: JSON.stringify({ session_id: session, tool: 'talk' })
  })
  const location = accepted.headers.get('location') ?? ''
  const read = async (more: Record<string, string>, isEnough: (text: string) => boolean) => {
    const left = new AbortController()
    const response = await fetch(`${url}${location}/events`, { headers: { ...headers, ...more }, signal: left.signal })
    const reader = (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    for (;;) {
      const { done, value = '' } = await reader.read()
      text += value
      if (done || isEnough(text)) break
    }
    left.abort()
    return text
  }
  const begun = await read({}, text => /event: progress\ndata: .*\n\n/.test(text))
  const id = /^id: (.*)$/m.exec(begun)?.[1] ?? ''
  return { status: accepted.status, location, begun, rest: await read({ 'last-event-id': id }, () => false) }
}

t.test('a page of another origin has a call made later, and follows it by fetch from any of its events on', async t => {
  const said = join(await makeFolder(t), 'said')
  writeFileSync(said, '{"progress":1,"total":2}\n{"progress":2,"total":2}\n')
  const { url: origin } = await serve(t, (request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>A page</title>')
  })
  const service = await listen(t, {
    MCP_ASYNC_CALLS: 'on',
    MCP_ALLOWED_ORIGINS: new URL(origin).origin,
    MCP_SERVERS_FILE: await serversFile(t, {
      talking: { command: process.execPath, args: [fixture('talking-server.mjs'), said] }
    })
  })
  const session = await openSession(service)
  const folder = await makeFolder(t)
  const browser = await chromium.launch({
    executablePath: findBrowser() ?? '',
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync', `--crash-dumps-dir=${folder}`
    ]
  })
  t.teardown(() => browser.close())
  const page = await browser.newPage()
  await page.goto(origin)
  const following = page.evaluate(followInPage, { url: service.url, session })
  // The call goes on until the page has its first event: it is over only then.
  setTimeout(() => writeFileSync(`${said}.go`, ''), 2_000)
  const { status, location, begun, rest } = await following
  t.strictSame([status, location.slice(0, 9)], [202, '/calls/c_'])
  t.match(begun, /^id: \d+-\d+\nevent: progress\ndata: \{"progress":1,"total":2\}$/m)
  t.match(rest, /event: progress\ndata: \{"progress":2,"total":2\}[^]*event: result\ndata: .*done/)
  t.notMatch(rest, '"progress":1')
})
