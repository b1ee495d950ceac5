/** Owns the start of the API documentation page: Swagger UI over this edge's own description. */

declare const SwaggerUIBundle: (options: Record<string, unknown>) => unknown;

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  tryItOutEnabled: true,
  persistAuthorization: false,
  // Its validator badge would ask a foreign server.
  validatorUrl: null,
});
