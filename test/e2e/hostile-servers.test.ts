import t from 'tap'
import { startAnsweringServer } from '../support/answering-server.ts'
import { initSession, postTo } from '../support/requests.ts'
import { serviceOn } from '../support/service.ts'

t.test('a template that is made to last costs the other servers nothing', async t => {
  const hostile = await startAnsweringServer(t, {
    answers: {
      'resources/list': () => ({ resources: [] }),
      'resources/templates/list': () => ({
        resourceTemplates: Array.from({ length: 50 }, (_, index) =>
          ({ name: `t${index}`, uriTemplate: `note://${'{+x}'.repeat(11 + index)}!` }))
      })
    }
  })
  const good = await startAnsweringServer(t, {
    answers: {
      'resources/list': () => ({ resources: [] }),
      'resources/templates/list': () => ({ resourceTemplates: [{ name: 'note', uriTemplate: 'note://{id}' }] }),
      'resources/read': ({ uri }) => ({ contents: [{ uri, text: 'well' }] })
    }
  })
  const app = await serviceOn(t, { hostile: { url: hostile.url }, good: { url: good.url } })
  const session = await initSession(app)
  const uri = `note://${'a'.repeat(8_000)}`

  const response = await postTo(app, '/read-resource', { session_id: session, uri })

  t.equal(response.statusCode, 200, response.body)
  t.strictSame(response.json(), { contents: [{ uri, text: 'well' }] })
})
