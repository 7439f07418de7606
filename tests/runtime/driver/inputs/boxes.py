# How boxes.json was made, and what other programs say of it: pycocotools 2.0.11 for COCO's numbers; for VOC's the curve
# computed anew with numpy. `python boxes.py boxes.json` needs both; FlowMetricsTest.cpp has the numbers that it prints.
import json, random, sys
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
random.seed(7)
K=["a","b","c"]
recs=[]
for r in range(40):
    truth=[]
    for _ in range(random.choice([0,1,3,8,20])):
        x,y=random.randint(0,300),random.randint(0,200); w,h=random.randint(8,90),random.randint(8,90)
        truth.append(dict(where=[x,y,x+w,y+h],kind=random.choice(K)))
    found=[]
    for t in truth:
        if random.random()<0.8:
            b=[c+random.randint(-9,9) for c in t["where"]]
            b[2]=max(b[2],b[0]+1); b[3]=max(b[3],b[1]+1)
            found.append(dict(where=b,kind=t["kind"] if random.random()<.9 else random.choice(K),score=round(random.uniform(.2,1),2)))
            if random.random()<.2:
                found.append(dict(where=[c+2 for c in b],kind=t["kind"],score=round(random.uniform(.1,.9),2)))
    for _ in range(random.randint(0,4)):
        x,y=random.randint(0,300),random.randint(0,200); w,h=random.randint(8,90),random.randint(8,90)
        found.append(dict(where=[x,y,x+w,y+h],kind=random.choice(K),score=round(random.uniform(.05,.7),2)))
    recs.append((truth,found))
def coco():
    im=[dict(id=i+1) for i in range(len(recs))]
    an=[];de=[]
    for i,(t,f) in enumerate(recs):
        for o in t:
            b=o["where"]; an.append(dict(id=len(an)+1,image_id=i+1,category_id=K.index(o["kind"])+1,bbox=[b[0],b[1],b[2]-b[0],b[3]-b[1]],area=(b[2]-b[0])*(b[3]-b[1]),iscrowd=0))
        for o in f:
            b=o["where"]; de.append(dict(image_id=i+1,category_id=K.index(o["kind"])+1,bbox=[b[0],b[1],b[2]-b[0],b[3]-b[1]],score=o["score"]))
    c=COCO(); c.dataset=dict(images=im,annotations=an,categories=[dict(id=i+1,name=k) for i,k in enumerate(K)]); c.createIndex()
    d=c.loadRes(de); e=COCOeval(c,d,"bbox"); e.evaluate(); e.accumulate(); e.summarize(); return e.stats
s=coco()
print(repr(float(s[0])),repr(float(s[1])))
# VOC, every point, written anew
def voc(iou):
    aps=[]
    for k in K:
        det=sorted([(-o["score"],i,j,o["where"]) for i,(t,f) in enumerate(recs) for j,o in enumerate(f) if o["kind"]==k],key=lambda d:d[:1])
        gts={i:[o["where"] for o in t if o["kind"]==k] for i,(t,f) in enumerate(recs)}
        used={i:[0]*len(g) for i,g in gts.items()}; n=sum(map(len,gts.values())); tp=[]
        for s_,i,j,b in det:
            best,at=-1,-1
            for g,q in enumerate(gts[i]):
                w=max(0,min(b[2],q[2])-max(b[0],q[0]));h=max(0,min(b[3],q[3])-max(b[1],q[1]));I=w*h
                v=I/((b[2]-b[0])*(b[3]-b[1])+(q[2]-q[0])*(q[3]-q[1])-I)
                if v>best: best,at=v,g
            ok=best>=iou and not used[i][at]
            if ok: used[i][at]=1
            tp.append(ok)
        tp=np.cumsum(tp); rec=tp/n; pre=tp/np.arange(1,len(tp)+1)
        r=np.concatenate([[0],rec,[1]]); p=np.concatenate([[0],pre,[0]]); p=np.maximum.accumulate(p[::-1])[::-1]
        i=np.where(r[1:]!=r[:-1])[0]; aps.append(np.sum((r[i+1]-r[i])*p[i+1]))
    return float(np.mean(aps))
print(voc(.5),voc(.75))
json.dump([dict(truth=t,found=f) for t,f in recs],open(sys.argv[1],"w"),separators=(",",":"))
