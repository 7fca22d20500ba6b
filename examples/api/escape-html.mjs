// @ts-check

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/**
 * Makes any text safe between tags and inside quoted attributes.
 * @param {string} text
 */
export function escapeHtml (text) {
  return text.replace(/[&<>"']/g, character => ENTITIES[/** @type {keyof typeof ENTITIES} */ (character)])
}
