/* global location, MutationObserver, SwaggerUIBundle, SwaggerUIStandalonePreset */
/*
 * Runs in the browser, on the page /docs: shows the OpenAPI document with Swagger UI, and asks once for what requests
 * need. The document itself may need it, so it is fetched again with what was given: with a session it has the
 * session's tools.
 *
 * What is given stays in the memory of the page. It is sent to this service alone.
 */
(() => {
  const base = new URL(location.pathname.endsWith('/') ? '..' : '.', location.href)
  const fields = [
    { id: 'api-key', label: 'API key', header: 'X-API-Key', type: 'password' },
    { id: 'session-id', label: 'Session id', header: 'X-Session-Id', type: 'text' },
    { id: 'session-token', label: 'Session token', header: 'Authorization', type: 'password', prefix: 'Bearer ' }
  ]
  const form = document.createElement('form')
  const status = document.createElement('p')

  function element (name, attributes, ...children) {
    const made = document.createElement(name)
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
    made.append(...children)
    return made
  }

  /** Headers of all requests, from the fields that are filled. */
  function givenHeaders () {
    const given = fields.map(({ id, header, prefix = '' }) => [header, document.getElementById(id).value.trim(), prefix])
    return Object.fromEntries(given.filter(([, value]) => value !== '').map(([header, value, prefix]) => [header, prefix + value]))
  }

  /** The document without the session's header at each operation: it is asked for once, above. */
  function withoutSessionHeader (description) {
    const isSession = ({ in: place, name = '' }) => place === 'header' && name.toLowerCase() === 'x-session-id'
    for (const operations of Object.values(description.paths ?? {})) {
      for (const operation of Object.values(operations)) {
        if (Array.isArray(operation.parameters)) {
          operation.parameters = operation.parameters.filter(parameter => !isSession(parameter))
        }
      }
    }
    return description
  }

  let ui = null
  let latest = 0

  async function load () {
    const mine = ++latest
    status.textContent = 'The description is loading.'
    try {
      const response = await fetch(new URL('openapi.json', base), { headers: givenHeaders(), cache: 'no-store' })
      const body = await response.json()
      // An answer that comes late is of what was given before.
      if (mine !== latest) return
      if (!response.ok) throw new Error(body.error ?? `The service answered ${response.status}`)
      show(withoutSessionHeader(body))
      status.textContent = 'The description is loaded.'
    } catch (error) {
      if (mine === latest) status.textContent = `The description cannot be shown: ${error.message}.`
    }
  }

  function show (description) {
    // Paths are shown and called from here, whatever is in front of the service.
    if (ui !== null) return ui.specActions.updateSpec(JSON.stringify(description))
    const nothing = () => () => null
    ui = SwaggerUIBundle({
      dom_id: '#swagger-ui',
      spec: description,
      // With it a link stands within the button of each operation, where no screen reader finds it.
      deepLinking: false,
      validatorUrl: null,
      displayRequestDuration: true,
      presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
      // Credentials are asked for once, above; the dialog would ask a second time.
      plugins: [{ wrapComponents: { authorizeBtn: nothing, authorizeOperationBtn: nothing } }],
      layout: 'BaseLayout',
      requestInterceptor: request => {
        if (new URL(request.url, location.href).origin !== location.origin) return request
        for (const [name, value] of Object.entries(givenHeaders())) request.headers[name] ??= value
        return request
      },
      responseInterceptor: response => {
        takeSession(response)
        return response
      }
    })
  }

  /** A session that was opened by trying it out is used from then on. */
  function takeSession ({ ok, url = '', obj }) {
    if (!ok || !/\/(init|sessions)$/.test(new URL(url, location.href).pathname)) return
    const { session_id: id, session_token: token } = obj ?? {}
    if (typeof id !== 'string') return
    document.getElementById('session-id').value = id
    document.getElementById('session-token').value = typeof token === 'string' ? token : ''
    load()
  }

  const names = {
    textarea: 'Request body',
    'select.examples-select-element': 'Example',
    'button.json-schema-2020-12-accordion': 'Schema'
  }

  /**
   * Gives what Swagger UI leaves without one a name that a screen reader can say: fields for a body, lists of examples,
   * buttons that open a schema without a title. Examples that are wider than their place can be scrolled with keys.
   */
  function nameFields (container) {
    for (const [selector, name] of Object.entries(names)) {
      for (const field of container.querySelectorAll(`${selector}:not([aria-label])`)) {
        if (field.tagName !== 'BUTTON' || field.textContent.trim() === '') field.setAttribute('aria-label', name)
      }
    }
    for (const example of container.querySelectorAll('.highlight-code pre:not([tabindex])')) example.tabIndex = 0
  }

  // Swagger UI's own start would fetch the document without what is given here.
  window.onload = () => {
    form.append(...fields.map(({ id, label, type }) => element('p', {},
      element('label', { for: id }, label),
      element('input', { id, type, autocomplete: 'off', spellcheck: 'false' })
    )), element('button', { type: 'submit' }, 'Use'))
    form.setAttribute('aria-label', 'What requests need')
    form.addEventListener('submit', event => {
      event.preventDefault()
      load()
    })
    status.setAttribute('role', 'status')
    const container = document.getElementById('swagger-ui')
    const main = element('div', { id: 'page' })
    container.replaceWith(main)
    main.append(element('h1', {}, document.title), form, status, container)
    new MutationObserver(() => nameFields(container)).observe(container, { childList: true, subtree: true })
    load()
  }
})()
