# The edge in a container, under workerd with its state on a volume, for machines without a Cloudflare account.
# Build in the repository's top folder:
#   docker build -f deploy/edge.Dockerfile -t pyrepl3-edge .
FROM node:24-bookworm-slim

WORKDIR /app
COPY package.json package-lock.json .npmrc wrangler.toml ./
RUN npm ci --omit=dev --ignore-scripts && npm rebuild esbuild workerd
COPY src src
COPY scripts scripts
COPY worker-runner worker-runner
RUN node scripts/build-pages.ts && mkdir -p /state && chown node:node /state

# No runner beside it: runners register over the network with RUNNER_TOKEN.
# The state is in a folder of its own on the volume: the edge closes its folder to other users, and the volume may belong to root.
ENV NODE_ENV=production RUNNERS=0 EDGE_HOST=0.0.0.0 PORT=8787 STATE_DIR=/state/edge LOG_FORMAT=json
USER node
VOLUME /state
EXPOSE 8787
STOPSIGNAL SIGTERM
CMD ["node", "src/local/start.ts"]
